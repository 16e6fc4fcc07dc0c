"""Files to text, one module a format.

>>> parsed = parse(b"# Refunds\n\nWithin 14 days.", filename="refunds.md")
>>> parsed.title, [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]
('Refunds', [('heading', 'Refunds'), ('paragraph', 'Within 14 days.')])

Everything here is synchronous and may take seconds; a server calls it through
:class:`app.parsing.isolation.IsolatedPool`. Nothing is ever fetched, neither from the network nor from the
disk.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from app.parsing.blocks import Block, BlockKind, Limits, Parsed
from app.parsing.exceptions import Code, ParsingError
from app.parsing.sniffing import MediaType, sniff

__all__ = ["Block", "BlockKind", "Code", "Limits", "MediaType", "Parsed", "ParsingError", "parse", "sniff"]

# Imported on first use: a child process that reads Markdown needs neither lxml nor pdfium in its memory.
_MODULES = {
    MediaType.MARKDOWN: "app.parsing.markdown",
    MediaType.MDX: "app.parsing.markdown",
    MediaType.HTML: "app.parsing.html",
    MediaType.RST: "app.parsing.rst",
    MediaType.PLAIN: "app.parsing.plain",
    MediaType.PDF: "app.parsing.pdf",
    MediaType.DOCX: "app.parsing.docx",
    MediaType.EML: "app.parsing.eml",
    MediaType.RTF: "app.parsing.rtf",
}
_DEFAULT_LIMITS = Limits()


def parse(
    data: bytes,
    *,
    filename: str | None = None,
    media_type: str | None = None,
    limits: Limits = _DEFAULT_LIMITS,
) -> Parsed:
    """Read a file of any supported type.

    Raises ParsingError with one of :class:`Code`; a library's own error on a malformed file becomes
    ``file_corrupt``.
    """
    found = MediaType(sniff(data, filename=filename, media_type=media_type))
    parser = cast("Callable[..., Parsed]", import_module(_MODULES[found]).parse)
    try:
        return parser(data, media_type=found, limits=limits)
    except (ParsingError, MemoryError):
        raise
    except RecursionError as error:
        raise ParsingError("the file is nested too deeply", code=Code.FILE_CORRUPT) from error
    except Exception as error:
        raise ParsingError(
            "the file is damaged", code=Code.FILE_CORRUPT, cause=type(error).__name__
        ) from error
