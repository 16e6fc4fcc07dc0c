"""Small files of every kind, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

from docx import Document
from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod

from app.parsing import Parsed


def pdf(pages: Sequence[Sequence[tuple[str, int]]], *, password: str | None = None) -> bytes:
    """A PDF of pages of (text, font size) paragraphs."""
    document = FPDF()
    if password:
        document.set_encryption(
            owner_password=password,
            user_password=password,
            encryption_method=EncryptionMethod.AES_128,
            permissions=AccessPermission.none(),
        )
    for page in pages:
        document.add_page()
        for text, size in page:
            document.set_font("Helvetica", size=size)
            document.multi_cell(0, size * 0.5, text, new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


def docx(build: object = None) -> bytes:
    """A DOCX made by ``build(document)``."""
    document = Document()
    if callable(build):
        build(document)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def repacked(data: bytes, **replaced: bytes) -> bytes:
    """A ZIP with entries replaced or added; ``word__document`` stands for ``word/document.xml``."""
    names = {key.replace("__", "/") + ".xml": value for key, value in replaced.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename not in names:
                new.writestr(entry.filename, old.read(entry.filename))
        for name, value in names.items():
            new.writestr(name, value)
    return stream.getvalue()


def texts(parsed: Parsed) -> list[tuple[str, str]]:
    """(kind, text) of each block, headings with their level."""
    return [
        (f"{block.kind.value}{block.level or ''}", parsed.text[block.start : block.end])
        for block in parsed.blocks
    ]


def assert_sound(parsed: Parsed) -> None:
    """The promises of Parsed that hold for any file."""
    position = 0
    for block in parsed.blocks:
        assert not parsed.text[position : block.start].strip()
        assert position <= block.start < block.end <= len(parsed.text)
        assert parsed.text[block.start : block.end].strip()
        assert (1 <= block.level <= 6) is (block.kind.value == "heading")
        position = block.end
    assert not parsed.text[position:].strip()
    assert all(line == line.rstrip() for line in parsed.text.split("\n"))
    assert "\r" not in parsed.text
    assert "\x00" not in parsed.text
