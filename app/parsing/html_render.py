"""The walk over an element tree that turns it into blocks.

It is a loop, not a recursion: ten thousand nested elements are a normal kind of hostile file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from app.parsing.blocks import BlockKind, TextBuilder
from app.parsing.html_filter import BARE_CHROME, NEVER, is_chrome, is_hidden
from app.parsing.html_variants import close_variant, open_variant
from app.parsing.tables import Grid, add_table

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "legend",
        "li",
        "main",
        "menu",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_LISTS = frozenset({"ul", "ol", "menu", "dir", "dl"})
_LAYOUT = "h1, h2, h3, h4, pre"
_TITLES = frozenset({"admonition-title", "callout-title"})
_BREAK = "\x0b"  # a forced line break, told from the line ends of the source, which are only spaces
_SPACE = re.compile(r"[ \t\r\n\f]+")
_AROUND_BREAK = re.compile(rf" ?{_BREAK} ?")
_NOISE_ALT = re.compile(
    r"\s*(?:.{0,80}\b(?:icon|logo|badge|avatar)|image|img|picture|.{0,80}\.(?:png|jpe?g|gif|svg|webp))\s*",
    re.IGNORECASE,
)
_CALLOUT_ALT = re.compile(r"\s*(note|tip|warning|caution|important) icon\s*", re.IGNORECASE)
_MAX_INDENT = 6
_MAX_DETAILS = 8
_MAX_TABLES = 20  # nested deeper they are layout, and looking inside each would be quadratic
_MAX_ANSWER = 3000
_ANSWER_KINDS = frozenset({BlockKind.PARAGRAPH, BlockKind.LIST, BlockKind.QUOTE})


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int = 0
    marker: str = ""


@dataclass(slots=True)
class _Details:
    """What was going on around a disclosure element, and its summary."""

    builder: TextBuilder
    lists: list[_List]
    question: str = ""


@dataclass(slots=True)
class Renderer:
    """One walk over one tree; ``keep_chrome`` turns the navigation filter off."""

    builder: TextBuilder
    keep_chrome: bool = False
    inline: list[str] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    details: list[_Details] = field(default_factory=list)
    grid: Grid | None = None
    quotes: int = 0
    tables: int = 0
    term: str = ""
    label: str = ""

    def render(self, root: LexborNode) -> None:
        """Walk everything below ``root`` into the builder."""
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self._leave(node)
                continue
            if stack and node.next is not None:
                stack.append((node.next, False))
            if self._enter(node):
                stack.append((node, True))
                if node.first_child is not None:
                    stack.append((node.first_child, False))
        self._flush()
        self._end_list()
        self._end_label()

    def _enter(self, node: LexborNode) -> bool:
        """Open an element; False when its children are not to be visited."""
        tag = node.tag or ""
        if node.is_text_node:
            self.inline.append(node.text_content or "")
            return False
        if tag in NEVER or not node.is_element_node:
            return False
        attributes = node.attributes
        variant = open_variant(node, attributes) if attributes else None
        if variant is not None:
            self._open_variant(variant)
        elif (attributes and is_hidden(node, attributes)) or (
            not self.keep_chrome and (attributes or tag in BARE_CHROME) and is_chrome(node, attributes)
        ):
            return False
        return self._open(node, tag, attributes)

    def _open(self, node: LexborNode, tag: str, attributes: dict[str, str | None]) -> bool:
        if tag in {"img", "br", "sup"}:
            self._open_inline(tag, attributes)
            return tag == "sup"
        if tag not in _BLOCKS:
            return True
        self._flush()
        if tag == "pre":
            self._add_code(node)
            return False
        if tag in _LISTS:
            self._open_list(tag, attributes)
        elif tag == "li" and self.lists:
            self._open_item()
        elif tag == "dd":
            self._open_definition()
        elif tag == "blockquote":
            self._end_list()
            self.quotes += 1
        elif tag == "details" and len(self.details) < _MAX_DETAILS:
            self._open_details()
        elif tag in {"table", "tr"}:
            self._open_table(node, tag, attributes)
        return True

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag not in _BLOCKS:
            self.inline.append(close_variant(node))
        elif tag in _HEADINGS and self.grid is None:
            self._add_heading(_HEADINGS[tag])
        elif tag in {"td", "th", "caption", "table"}:
            self._leave_table(node, tag)
        elif tag == "dt":
            self.term = f"{self.term} {self._take()}".strip()
        elif tag == "summary" and self.details:
            self.details[-1].question = self._take()
        elif self.grid is None and _TITLES & set((node.attributes.get("class") or "").split()):
            self.label = self._take()
        else:
            self._flush()
            self._close(tag, node)

    def _close(self, tag: str, node: LexborNode) -> None:
        if tag in _LISTS and self.lists:
            if self.term:
                self._add_line(self.term)  # a term without its definition
            self.lists.pop()
            if not self.lists:
                self._end_list()
        elif tag == "blockquote":
            self.quotes -= 1
        elif tag == "details" and self.details and node.mem_id:
            self._close_details()

    # Inline

    def _open_variant(self, label: str) -> None:
        if label.endswith("\n"):
            self._flush()
            self.label = label.strip()
        else:
            self.inline.append(label)

    def _open_inline(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "br":
            self.inline.append(_BREAK)
        elif tag == "sup":
            if self.inline and self.inline[-1][-1:].isdigit():
                self.inline.append("^")
        else:
            self._add_image(attributes.get("alt") or "")

    def _add_image(self, alt: str) -> None:
        callout = _CALLOUT_ALT.fullmatch(alt)
        if callout:
            self.label = callout[1].capitalize()
        elif not _NOISE_ALT.fullmatch(alt):
            self.inline.append(f" {alt} ")

    def _take(self) -> str:
        """The collected inline text; source line ends are spaces, forced breaks are line ends."""
        text = _AROUND_BREAK.sub("\n", _SPACE.sub(" ", "".join(self.inline))).strip()
        self.inline.clear()
        return text

    def _flush(self) -> None:
        """End the current run of inline text; where it goes depends on what is open around it."""
        if self.grid is not None:
            self.inline.append(" ")
            return
        text = self._take() if self.inline else ""
        if not text:
            return
        if self.lists:
            self._add_line(text)
            return
        self._end_list()
        if self.label:
            text, self.label = _labelled(self.label, text), ""
        self.builder.add(BlockKind.QUOTE if self.quotes else BlockKind.PARAGRAPH, text)

    # Blocks

    def _add_heading(self, level: int) -> None:
        text = self._take()
        self._end_list()
        self._end_label()
        self.builder.add(BlockKind.HEADING, text, level)

    def _add_code(self, node: LexborNode) -> None:
        code = verbatim(node)
        if self.grid is not None:
            self.inline.append(code)
            return
        self._end_list()
        self._end_label()
        self.builder.add(BlockKind.CODE, code)

    def _end_label(self) -> None:
        label, self.label = self.label, ""
        self.builder.add(BlockKind.PARAGRAPH, label)

    def _open_list(self, tag: str, attributes: dict[str, str | None]) -> None:
        start = attributes.get("start") or ""
        number = int(start) - 1 if start.isascii() and start.isdigit() and len(start) < 7 else 0
        self.lists.append(_List(ordered=tag == "ol", number=number))

    def _open_item(self) -> None:
        current = self.lists[-1]
        current.number += 1
        current.marker = f"{current.number}. " if current.ordered else "- "

    def _open_definition(self) -> None:
        if self.lists:
            self._open_item()

    def _add_line(self, text: str) -> None:
        current = self.lists[-1]
        if self.label and current.marker and not self.lines:
            self._end_label()
        indent = "  " * min(len(self.lists) - 1, _MAX_INDENT)
        follow = f"\n{indent}{' ' * (len(current.marker) or 2)}"
        if self.label:
            text, self.label = _labelled(self.label, text), ""
        if self.term and text != self.term:
            text, self.term = _labelled(self.term, text), ""
        self.term = ""
        lead = current.marker or "  "
        current.marker = ""
        self.lines.append(indent + lead + text.replace("\n", follow))

    def _end_list(self) -> None:
        if self.lines:
            lines, self.lines = self.lines, []
            self.builder.add(BlockKind.LIST, "\n".join(lines))

    def _open_details(self) -> None:
        self._end_list()
        self._end_label()
        self.details.append(_Details(self.builder, self.lists))
        self.builder, self.lists = TextBuilder(self.builder.limits), []

    def _close_details(self) -> None:
        """A question with a short answer is one block; anything else a line of its own before the rest."""
        self._end_list()
        self._end_label()
        inner, around = self.builder, self.details.pop()
        self.builder, self.lists = around.builder, around.lists
        short = inner.length <= _MAX_ANSWER and all(block.kind in _ANSWER_KINDS for block in inner.blocks)
        if around.question.endswith("?") and inner.blocks and short:
            answer = "".join(inner.parts).replace("\n\n", "\n")
            self.builder.add(BlockKind.QUESTION_ANSWER, f"{around.question}\n{answer}")
            return
        self.builder.add(BlockKind.PARAGRAPH, around.question)
        self.builder.extend(inner)

    # Tables

    def _open_table(self, node: LexborNode, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "tr":
            if self.grid is not None:
                self.inline.clear()
                self.grid.start_row()
        elif self.grid is None:
            self.tables += 1
            self._end_list()
            if self.tables <= _MAX_TABLES and attributes.get("role") != "presentation" and _holds_data(node):
                self._end_label()
                self.grid = Grid()

    def _leave_table(self, node: LexborNode, tag: str) -> None:
        if self.grid is None:
            self._flush()
            self.tables -= tag == "table"
        elif tag == "table":
            grid, self.grid = self.grid, None
            self.tables -= 1
            self.inline.clear()
            add_table(self.builder, grid.rows)
        elif tag == "caption":
            self.builder.add(BlockKind.PARAGRAPH, self._take())
        else:
            spans = node.attributes
            self.grid.add_cell(
                self._take(), colspan=_span(spans.get("colspan")), rowspan=_span(spans.get("rowspan"))
            )


def verbatim(root: LexborNode) -> str:
    """The text of a preformatted element as it stands, hidden parts left out."""
    parts: list[str] = []
    stack = [root.first_child] if root.first_child is not None else []
    while stack:
        node = stack.pop()
        if node.next is not None:
            stack.append(node.next)
        if node.is_text_node:
            parts.append(node.text_content or "")
        elif node.tag == "br":
            parts.append("\n")
        elif node.first_child is not None and node.tag not in NEVER and not is_hidden(node, node.attributes):
            stack.append(node.first_child)
    return "".join(parts)


def _labelled(label: str, text: str) -> str:
    return f"{label}{'' if label[-1] in ':?!.' else ':'} {text}"


def _holds_data(table: LexborNode) -> bool:
    """False for tables that only arrange a page: with tables, headings or listings inside."""
    return len(table.css("table")) == 1 and table.css_first(_LAYOUT) is None


def _span(value: str | None) -> int:
    value = (value or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 1
