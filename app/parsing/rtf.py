"""RTF by striprtf: each paragraph a block."""

from __future__ import annotations

import re

from striprtf.striprtf import rtf_to_text

from app.parsing.blocks import BlockKind, Limits, Parsed, TextBuilder
from app.parsing.cleaning import clean
from app.parsing.plain import add_plain
from app.parsing.tables import add_table

_TITLE = re.compile(r"\{\\title ([^{}\\]{1,300})\}")
# \v is hidden text, \bin a run of raw bytes; the reader of a document sees neither.
_HIDDEN_GROUP = re.compile(r"\{\\v(?![a-z0-9])[^{}]*\}")
_HIDDEN_RUN = re.compile(r"\\v(?![a-z0-9])[^{}]*?(?:\\v0|(?=[{}])|\\plain)")


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a rich text file; pictures, objects, headers and hidden runs are left out."""
    source = data.decode("latin-1")
    title = _TITLE.search(source, 0, 20_000)
    source = _HIDDEN_RUN.sub("", _HIDDEN_GROUP.sub("", source))
    builder = TextBuilder(limits)
    rows: list[list[str]] = []
    text: str = rtf_to_text(source, errors="replace")  # type: ignore[no-untyped-call]  # striprtf ships no types for it
    for line in clean(text).split("\n"):
        # striprtf ends each cell of a table row with a bar.
        if line.count("|") > 1 and line.rstrip().endswith("|"):
            rows.append(line.rstrip().rstrip("|").split("|"))
            continue
        add_table(builder, rows)
        rows = []
        _add_line(builder, line)
    add_table(builder, rows)
    return builder.build(media_type=media_type, title=title[1] if title else None)


def _add_line(builder: TextBuilder, line: str) -> None:
    """Consecutive list lines make one list; everything else is a paragraph of its own."""
    fresh = TextBuilder(builder.limits)
    add_plain(fresh, line)
    is_item = bool(fresh.blocks) and fresh.blocks[0].kind is BlockKind.LIST
    if is_item and builder.blocks and builder.blocks[-1].kind is BlockKind.LIST:
        builder.append_line("".join(fresh.parts))
    else:
        builder.extend(fresh)
