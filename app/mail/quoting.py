"""What is new in a reply. Cuts only at marks that mail programs make; in doubt everything is new.

The raw mail is kept, and what is cut off here is kept beside the text: nothing is lost by a wrong guess.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from app.parsing.blocks import BlockKind, Limits, TextBuilder
from app.parsing.exceptions import ParsingError
from app.parsing.html import render_fragment

SIGNATURE = "-- "  # RFC 3676, section 4.3
ORIGINAL = re.compile(
    r"\s*-{3,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original) ?-{3,}\s*",
    re.IGNORECASE,
)
RULE = re.compile(r"_{20,}\s*")
INTRODUCTION = re.compile(
    r"(?:On .{5,300} wrote:|Am .{5,200} schrieb .{0,200}:|Le .{5,300} a écrit ?:|El .{5,300} escribió:)"
)
INTRODUCTION_STARTS = ("On ", "Am ", "Le ", "El ")
QUOTING_ELEMENTS = (
    "blockquote[type=cite], .gmail_quote, .gmail_quote_container, .yahoo_quoted, #divRplyFwdMsg ~ *"
)
HTML_LIMITS = Limits(characters=2_000_000)


def split_text(text: str) -> tuple[str, str]:
    """(new, the rest) of a plain text. When nothing would be left, the whole text is new."""
    lines = text.split("\n")
    end = min(_history(lines), _signature(lines))
    end = _without_trailing_quote(lines, end)
    new, rest = "\n".join(lines[:end]).strip(), "\n".join(lines[end:]).strip()
    return (new, rest) if new else (text.strip(), "")


def _signature(lines: list[str]) -> int:
    marks = [number for number, line in enumerate(lines) if line == SIGNATURE]
    return marks[-1] if marks else len(lines)


def _history(lines: list[str]) -> int:
    """Where the history begins that goes on to the end: answers between quotes are nobody's history."""
    for number, line in enumerate(lines):
        if ORIGINAL.fullmatch(line):
            return number
        if RULE.fullmatch(line) and number + 1 < len(lines) and lines[number + 1].startswith("From:"):
            return number
        after = _end_of_introduction(lines, number)
        if after is not None and all(_is_quote(each) for each in lines[after:]):
            return number
    return len(lines)


def _end_of_introduction(lines: list[str], start: int) -> int | None:
    """The line after ``On … wrote:``, which programs wrap over up to three lines."""
    if not lines[start].startswith(INTRODUCTION_STARTS):
        return None
    for length in (1, 2, 3):
        if INTRODUCTION.fullmatch(" ".join(lines[start : start + length]).rstrip()):
            return start + length
    return None


def _is_quote(line: str) -> bool:
    return not line.strip() or line.startswith(">") or line == SIGNATURE


def _without_trailing_quote(lines: list[str], end: int) -> int:
    kept = end
    while kept and (not lines[kept - 1].strip() or lines[kept - 1].startswith(">")):
        kept -= 1
    return kept if any(line.startswith(">") for line in lines[kept:end]) else end


def split_html(html: str) -> tuple[str, str]:
    """(new, the rest) of an HTML text, as plain text; scripts do not run and nothing is loaded."""
    whole = _rendered(html)
    tree = LexborHTMLParser(html)
    for node in tree.css(QUOTING_ELEMENTS):
        node.decompose()
    builder = _rendered(tree.html or "")
    text = "".join(builder.parts)
    blocks = list(builder.blocks)
    while blocks and blocks[-1].kind is BlockKind.QUOTE:
        blocks.pop()
    new = text[: blocks[-1].end].strip() if blocks else ""
    lines = new.split("\n")
    if lines and _end_of_introduction(lines, len(lines) - 1) is not None:
        new = "\n".join(lines[:-1]).strip()
    full = "".join(whole.parts).strip()
    if not new:
        return full, ""
    return new, full[len(new) :].strip() if full.startswith(new) else ""


def _rendered(html: str) -> TextBuilder:
    try:
        return render_fragment(html, HTML_LIMITS)
    except (ParsingError, RecursionError):
        return TextBuilder(HTML_LIMITS)
