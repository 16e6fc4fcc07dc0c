"""Reading one JSX tag or one braced expression at a position."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"</?([A-Za-z][\w.:-]*)?\s*")
_PROP = re.compile(r"\s*([A-Za-z_@:][\w:.@-]*)\s*(=?)\s*")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_BARE = re.compile(r"[^\s>\"'{}`]+")
_BRACE = re.compile(r"[{}\"'`]|//|/\*")
_STRING_END = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*?{quote}", re.DOTALL) for quote in "\"'`"}
_MAX_TAG = 10_000


@dataclass(frozen=True, slots=True)
class Tag:
    """An opening or closing tag; an expression's value keeps its braces, a prop without value is ``""``."""

    name: str
    end: int
    closing: bool = False
    closed: bool = False
    props: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Budget:
    """How many constructs that never close are looked for, so that a page of ``{{{{`` takes linear time."""

    left: int = 100


def read_tag(text: str, start: int, budget: Budget) -> Tag | None:
    """The tag at ``start`` (a ``<``); None when it is none, as in ``a < b`` or ``<https://…>``."""
    match = _NAME.match(text, start)
    if match is None:
        return None
    closing, name, position = text.startswith("</", start), match[1] or "", match.end()
    props: dict[str, str] = {}
    limit = min(len(text), start + _MAX_TAG) if budget.left else start
    while position < limit:
        if text[position] == ">":
            return Tag(name, position + 1, closing=closing, props=props)
        if text.startswith("/>", position):
            return Tag(name, position + 2, closing=closing, closed=True, props=props)
        if text[position].isspace():
            position += 1
            continue
        following = _read_prop(text, position, props, budget)
        if following is None:
            return None
        position = following
    budget.left = max(0, budget.left - 1)
    return None


def _read_prop(text: str, position: int, props: dict[str, str], budget: Budget) -> int | None:
    if text[position] == "{":
        return read_braces(text, position, budget)
    match = _PROP.match(text, position)
    if match is None:
        return None
    if not match[2]:
        props[match[1]] = ""
        return match.end()
    value = match.end()
    if text.startswith("{", value):
        end = read_braces(text, value, budget)
        inner = text[value + 1 : end - 1].strip() if end else ""
        literal = len(inner) > 1 and inner[0] == inner[-1] and inner[0] in "\"'`" and "${" not in inner
        props[match[1]] = inner[1:-1] if literal else "{" + inner
        return end
    quoted = _QUOTED.match(text, value) or _BARE.match(text, value)
    if quoted is None:
        return None
    props[match[1]] = quoted[0].strip("\"'")
    return quoted.end()


def read_braces(text: str, start: int, budget: Budget) -> int | None:
    """The end of the balanced ``{…}`` at ``start``, strings and comments skipped; None when it does not
    close soon.
    """
    depth = 0
    position = start
    limit = min(len(text), start + _MAX_TAG) if budget.left else start
    while (match := _BRACE.search(text, position, limit)) is not None:
        mark, position = match[0], match.end()
        if mark == "{":
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == 0:
                return position
        elif mark in {"//", "/*"}:
            end = text.find("\n" if mark == "//" else "*/", position, limit)
            position = position if end < 0 else end + len(mark) - (mark == "//")
        else:
            string = _STRING_END[mark].match(text, position, limit)
            position = string.end() if string else position
    budget.left = max(0, budget.left - 1)
    return None
