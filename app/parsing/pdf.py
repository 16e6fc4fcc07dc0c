"""PDF by pdfium: text in reading order, page by page, so that memory does not grow with the pages' pictures.

Attachments, annotations, forms and pictures are left out; scripts and links are never followed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # it ships no types

from app.parsing.blocks import Limits, Parsed, TextBuilder
from app.parsing.exceptions import Code, ParsingError
from app.parsing.pdf_blocks import add_blocks, body_size
from app.parsing.pdf_furniture import without_furniture
from app.parsing.pdf_lines import Line, read_lines
from app.parsing.pdf_order import in_reading_order

_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_SECURITY_ERROR = 5
_MAX_OUTLINE = 20_000


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a document.

    Raises ``file_encrypted``, ``file_corrupt``, ``file_too_large`` (pages), ``file_without_text`` (scanned
    pages).
    """
    document = _open(data)
    try:
        if len(document) > limits.pages:
            raise ParsingError(f"the document has more than {limits.pages} pages", code=Code.FILE_TOO_LARGE)
        pages = [in_reading_order(lines) for lines in _pages(document, limits)]
        builder = TextBuilder(limits)
        add_blocks(builder, without_furniture(pages, body_size=body_size(pages)), _outline(document))
        if not builder.blocks:
            raise ParsingError(
                "the pages are pictures without text; run text recognition first", code=Code.FILE_WITHOUT_TEXT
            )
        metadata = document.get_metadata_dict()
        title = builder.first_heading() or _usable_title(metadata.get("Title", ""))
        return builder.build(media_type=media_type, title=title, pages=len(document))
    finally:
        document.close()


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in {_PASSWORD_ERROR, _SECURITY_ERROR} or "assword" in str(error):
            raise ParsingError("the document is protected by a password", code=Code.FILE_ENCRYPTED) from error
        raise ParsingError("the document is damaged or incomplete", code=Code.FILE_CORRUPT) from error


def _pages(document: pdfium.PdfDocument, limits: Limits) -> Iterator[list[Line]]:
    """The lines of each page; a page that cannot be loaded is empty, since the others are still worth
    having.
    """
    characters = 0
    for number in range(len(document)):
        try:
            page = document[number]
        except pdfium.PdfiumError:
            yield []
            continue
        lines = read_lines(page)
        page.close()
        characters += sum(len(line.text) for line in lines)
        if characters > limits.characters:
            raise ParsingError(
                f"the text is longer than {limits.characters} characters", code=Code.FILE_TOO_LARGE
            )
        yield lines


def _outline(document: pdfium.PdfDocument) -> dict[int, dict[str, int]]:
    """Page → {folded title: level from 1} of the bookmarks, which name most headings of a manual."""
    titles: dict[int, dict[str, int]] = {}
    try:
        for count, bookmark in enumerate(document.get_toc(max_depth=6)):
            if count > _MAX_OUTLINE:
                break
            target = bookmark.get_dest()
            page = target.get_index() if target is not None else None
            if page is not None:
                folded = "".join(bookmark.get_title().split()).casefold()
                titles.setdefault(page, {})[folded] = getattr(bookmark, "level", 0) + 1
    except (pdfium.PdfiumError, ValueError, UnicodeDecodeError):
        return titles
    return titles


def _usable_title(title: str) -> str | None:
    """Many programs put a file name there."""
    title = title.strip()
    return (
        None
        if not title or title.lower().endswith((".doc", ".docx", ".pdf", ".indd", ".tex", ".dvi"))
        else title
    )
