"""Characters that nobody sees, or that change what people see, are removed before text is stored.

Invisible text is how instructions are smuggled to a model: zero-width and bidi controls, the tag block
(U+E0000), variation selectors, soft hyphens, fillers, NUL and other controls. Joiners stay only where a
script is spelled with them (between two letters of the Arabic and Indic ranges). Emoji sequences therefore
fall apart into their parts.
"""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_JOINERS = re.compile("(?<![\u0600-\u10ff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u10ff])")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_RUNS = re.compile("[ \t]{2,}|\t")
_AROUND_BREAK = re.compile(r"[ \t]*\n[ \t]*")
_TRAILING = re.compile(r"[ \t]+(?=\n|\Z)")
_BREAKS = re.compile(r"\n{2,}")


def clean(text: str) -> str:
    """NFC, ``\\n`` line ends, plain spaces, nothing invisible."""
    text = _LINE_ENDS.sub("\n", text)
    if text.isascii():
        return _INVISIBLE.sub("", text)
    text = _INVISIBLE.sub("", _SURROGATES.sub("\ufffd", _SPACES.sub(" ", text)))
    return unicodedata.normalize("NFC", _JOINERS.sub("", text))


def clean_inline(text: str) -> str:
    """One line: every run of white space becomes one space."""
    return " ".join(clean(text).split())


def clean_lines(text: str, *, keep_indent: bool) -> str:
    """Lines of prose: single spaces, no blank lines, no trailing spaces; indentation only where asked for."""
    if keep_indent:
        lines = (line.rstrip() for line in text.split("\n"))
        return "\n".join(_indented(line) for line in lines if line).strip("\n")
    text = _RUNS.sub(" ", text)
    return _BREAKS.sub("\n", _AROUND_BREAK.sub("\n", text)).strip()


def clean_code(text: str) -> str:
    """Code stays as it is, indentation and blank lines included, but for trailing spaces and outer blank
    lines.
    """
    lines = _TRAILING.sub("", clean(text)).split("\n")
    filled = [number for number, line in enumerate(lines) if line]
    return "\n".join(lines[filled[0] : filled[-1] + 1]) if filled else ""


def _indented(line: str) -> str:
    body = line.lstrip(" \t")
    return line[: len(line) - len(body)] + _RUNS.sub(" ", body)
