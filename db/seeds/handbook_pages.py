"""Sources of the sample handbook as data: front matter, and Markdown cut into the blocks the writers know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

COMPANY = "Brindlewerk B.V."
MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One source: ``output`` is the path below ``handbook/``, ``body`` is Markdown without front matter."""

    title: str
    output: str
    body: str


@dataclass(kw_only=True)
class Block:
    """A heading (``level`` 1 to 3), a paragraph, a list (one line an item) or a table (rows of cells)."""

    kind: Literal["heading", "paragraph", "bullet_list", "ordered_list", "table"]
    level: int = 0
    lines: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def read_page(path: Path) -> Page:
    """:raises ValueError: when the front matter lacks ``title`` or ``output``, or is missing."""
    _, header, body = path.read_text(encoding="utf-8").split("---\n", 2)
    fields = yaml.safe_load(header)
    if not isinstance(fields, dict) or not {"title", "output"} <= fields.keys():
        raise ValueError(f"{path.name}: front matter needs title and output")
    return Page(title=fields["title"], output=fields["output"], body=body)


def inline_text(token: Token) -> str:
    """The words of an inline token, without emphasis, code marks and link targets."""
    return "".join(" " if child.type == "softbreak" else child.content for child in token.children or [])


def read_blocks(body: str) -> Iterator[Block]:
    """Top-level blocks in order; nested lists are not used by the sources."""
    block: Block | None = None
    for token in MARKDOWN.parse(body):
        name = token.type.removesuffix("_open")
        if token.type == "inline" and block is not None:
            (block.rows[-1] if block.kind == "table" else block.lines).append(inline_text(token))
        elif name == "tr" and token.nesting == 1 and block is not None:
            block.rows.append([])
        elif token.level == 0 and token.nesting == 1:
            block = open_block(name, token)
        elif token.level == 0 and token.nesting == -1 and block is not None:
            yield block


def open_block(name: str, token: Token) -> Block:
    """:raises ValueError: for a construct that the PDF and DOCX writers do not know."""
    match name:
        case "heading":
            return Block(kind="heading", level=int(token.tag[1]))
        case "paragraph" | "bullet_list" | "ordered_list" | "table":
            return Block(kind=name)
        case _:
            raise ValueError(f"unsupported Markdown construct: {name}")
