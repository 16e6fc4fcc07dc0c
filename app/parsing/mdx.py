"""MDX to Markdown: the code goes, the words inside components and in their telling props stay.

One pass over the text with an explicit cursor, no backtracking, so its time is linear in the text.
"""

from __future__ import annotations

import re
from html import escape

from app.parsing.jsx import Budget, Tag, read_braces, read_tag

_IMPORT = re.compile(
    r"^(?:import\s(?:[^\n]*?from\s*)?[\"'{*\w]|export\s+(?:default|const|let|var|function|async|class|\{|\*))",
    re.MULTILINE,
)
_LOOKS_LIKE = re.compile(
    r"^import\s[^\n]{1,200}\sfrom\s+[\"']|^[ \t]*</?[A-Z]\w*[\s/>]|=\{[^\n]|className=", re.MULTILINE
)
_CODE = re.compile(r"^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}|~{3,})[^\n]*$", re.MULTILINE)
_NEXT = re.compile(r"`+|<(?=[A-Za-z/>!])|\{|\\[\\<{`]")
_HIDDEN = re.compile(r"display\s*:\s*[\"']?none|visibility\s*:\s*[\"']?hidden")
_CALLOUTS = {
    **{name: name for name in ("Note", "Tip", "Info", "Warning", "Danger", "Caution")},
    "Check": "Note",
    "Callout": "Note",
}
_QUESTIONS = frozenset({"Accordion", "Expandable", "Details"})
_BLOCKS = frozenset(
    [
        "div",
        "section",
        "article",
        "main",
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
        "th",
        "ul",
        "ol",
        "li",
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "center",
    ]
)
_DROPPED = frozenset({"script", "style", "svg", "iframe", "video", "audio"})


def looks_like_mdx(text: str) -> bool:
    """True when a Markdown file imports or uses components outside code."""
    return bool(_LOOKS_LIKE.search("".join(part for part, code in _split_code(text) if not code)))


def strip_jsx(text: str) -> str:
    """Markdown with plain HTML only; fenced code is untouched."""
    return "".join(part if code else _strip(_without_modules(part)) for part, code in _split_code(text))


def _split_code(text: str) -> list[tuple[str, bool]]:
    """The text cut into (part, is fenced code)."""
    parts: list[tuple[str, bool]] = []
    position = 0
    opening: re.Match[str] | None = None
    for match in _CODE.finditer(text):
        if opening is None:
            parts.append((text[position : match.start()], False))
            opening, position = match, match.start()
        elif match[1].startswith(opening[1]) and match[0].strip(" \t>") == match[1]:
            parts.append((text[position : match.end()], True))
            opening, position = None, match.end()
    parts.append((text[position:], opening is not None))
    return parts


def _without_modules(text: str) -> str:
    """Drop import and export statements: each reaches to the next blank line outside braces."""
    kept: list[str] = []
    position = 0
    for match in _IMPORT.finditer(text):
        if match.start() < position:
            continue
        kept.append(text[position : match.start()])
        position = _statement_end(text, match.start())
    return "".join([*kept, text[position:]])


def _statement_end(text: str, start: int) -> int:
    depth = 0
    position = start
    while True:
        end = text.find("\n", position)
        line = text[position : end if end >= 0 else len(text)]
        depth += sum(map(line.count, "{([")) - sum(map(line.count, "})]"))
        following = text[end + 1 : end + 8]
        if end < 0 or not line.strip():
            return len(text) if end < 0 else end
        if depth <= 0 and (
            line.startswith("import") or following[:1] == "\n" or following.startswith(("import", "export"))
        ):
            return end
        position = end + 1


def _strip(text: str) -> str:
    out: list[str] = []
    position = 0
    budget = Budget()
    while (match := _NEXT.search(text, position)) is not None:
        out.append(text[position : match.start()])
        piece, position = _special(text, match, out, budget)
        out.append(piece)
    out.append(text[position:])
    return "".join(out)


def _special(text: str, match: re.Match[str], out: list[str], budget: Budget) -> tuple[str, int]:
    """What stands for the construct at ``match``, and where the text goes on."""
    start, mark = match.start(), match[0]
    if mark[0] == "\\":
        return (mark if mark[1] != "{" else "{"), match.end()
    if mark[0] == "`":
        end = text.find(mark, match.end(), match.end() + 5000)
        end = match.end() if end < 0 else end + len(mark)
        return text[start:end], end
    if mark == "{":
        closed = read_braces(text, start, budget)
        return (_expression(text[start + 1 : closed - 1]), closed) if closed else ("{", start + 1)
    if text.startswith("<!--", start):
        end = text.find("-->", start)
        return "", len(text) if end < 0 else end + 3
    return _tag(text, start, out, budget)


def _tag(text: str, start: int, out: list[str], budget: Budget) -> tuple[str, int]:
    tag = read_tag(text, start, budget)
    if tag is None:
        return "&lt;", start + 1
    if tag.name in _DROPPED:
        end = text.find(f"</{tag.name}", tag.end)
        return "", tag.end if end < 0 or tag.closed else text.find(">", end) + 1 or len(text)
    return _element(tag, alone=_line_start(out)), tag.end


def _line_start(out: list[str]) -> bool:
    """True when nothing but spaces stands on the line so far."""
    for piece in reversed(out):
        before, newline, line = piece.rpartition("\n")
        if (line if newline else before + line).strip():
            return False
        if newline:
            return True
    return True


def _expression(source: str) -> str:
    """A literal is text; anything else is code that would have to run."""
    source = source.strip()
    if len(source) >= 2 and source[0] == source[-1] and source[0] in "\"'`":
        return source[1:-1] if "${" not in source else ""
    return " " if not source else ""


def _element(tag: Tag, *, alone: bool) -> str:
    if not tag.name or tag.name[0].isupper() or "." in tag.name:
        return _component(tag, alone=alone)
    attributes = _kept_attributes(tag)
    markup = f"<{'/' if tag.closing else ''}{tag.name}{attributes}>"
    # A blank line ends raw HTML, so that Markdown inside the element is read as such.
    return f"\n\n{markup}\n\n" if alone and tag.name in _BLOCKS else markup


def _kept_attributes(tag: Tag) -> str:
    hidden = " hidden" if "hidden" in tag.props or _HIDDEN.search(tag.props.get("style", "")) else ""
    names = (
        "alt",
        "class",
        "className",
        "style",
        "start",
        "colspan",
        "rowspan",
        "colSpan",
        "rowSpan",
        "aria-hidden",
    )
    kept = ((name.replace("className", "class"), tag.props[name]) for name in names if name in tag.props)
    return hidden + "".join(f' {name}="{escape(value)}"' for name, value in kept if not value.startswith("{"))


def _component(tag: Tag, *, alone: bool) -> str:
    title = _title(tag)
    if tag.name in _QUESTIONS:
        if tag.closing:
            return "\n\n</details>\n\n"
        return f"\n\n<details><summary>{escape(title)}</summary>\n\n{'</details>' * tag.closed}\n\n"
    if tag.closing or not title:
        return "\n\n" if alone else " "
    follow = _trailing_words(tag)
    return (
        f'\n\n<p class="callout-title">{escape(title)}</p>\n\n{follow}\n\n' if alone else f"{escape(title)}: "
    )


def _title(tag: Tag) -> str:
    """The words of the props that a reader sees."""
    values = {name: value for name, value in tag.props.items() if value and not value.startswith("{")}
    title = values.get("title") or values.get("label") or values.get("heading") or values.get("name") or ""
    if tag.name in _CALLOUTS and not tag.closing:
        return f"{_CALLOUTS[tag.name]}: {title}" if title else _CALLOUTS[tag.name]
    if tag.name.endswith("Field"):
        title = (
            values.get("body") or values.get("query") or values.get("path") or values.get("header") or title
        )
        kind = ", ".join(filter(None, (values.get("type"), "required" if "required" in tag.props else "")))
        return f"{title} ({kind})" if kind else title
    return title or (values.get("alt", "") or values.get("caption", ""))


def _trailing_words(tag: Tag) -> str:
    value = tag.props.get("description", "")
    return "" if value.startswith("{") else escape(value)
