"""Plain text: paragraphs at blank lines, lists by their bullets, hard-wrapped lines joined."""

from __future__ import annotations

import re

from app.parsing.blocks import BlockKind, Limits, Parsed, TextBuilder
from app.parsing.cleaning import clean
from app.parsing.decoding import decode

_BULLET = re.compile(r"[ \t]*(?:[-*+•▪‣◦\u2013]|\d{1,3}[.)])[ \t]+\S")
_BULLET_MARK = re.compile(r"^([ \t]*)[*+•▪‣◦\u2013](?=[ \t])")
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_WRAP_FROM, _WRAP_TO = 50, 100


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a text file; it has no title."""
    builder = TextBuilder(limits)
    add_plain(builder, decode(data))
    return builder.build(media_type=media_type)


def add_plain(builder: TextBuilder, text: str) -> None:
    """Append the paragraphs, lists and ``>`` quotes of a plain text."""
    for part in _BLANK.split(clean(text)):
        lines = [line.rstrip() for line in part.split("\n") if line.strip()]
        if not lines:
            continue
        if all(line.lstrip().startswith(">") for line in lines):
            builder.add(BlockKind.QUOTE, join_wrapped([line.lstrip("> \t") for line in lines]))
        elif _BULLET.match(lines[0]):
            builder.add(BlockKind.LIST, "\n".join(_items(lines)))
        else:
            builder.add(BlockKind.PARAGRAPH, join_wrapped(lines))


def join_wrapped(lines: list[str]) -> str:
    """One line if the text was wrapped by a program (all lines but the last about equally long), else as it
    is.
    """
    wrapped = len(lines) > 1 and all(_WRAP_FROM <= len(line) <= _WRAP_TO for line in lines[:-1])
    return (" " if wrapped else "\n").join(lines)


def _items(lines: list[str]) -> list[str]:
    """One line an item, its wrapped continuation joined to it."""
    items: list[list[str]] = []
    for line in lines:
        if _BULLET.match(line) or not items:
            items.append([_BULLET_MARK.sub(r"\1-", line)])
        else:
            items[-1].append(line.strip())
    return [" ".join(item) for item in items]
