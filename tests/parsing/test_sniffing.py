"""What a file is, and the named refusals."""

from __future__ import annotations

import io
import zipfile

import pytest

from app.parsing import Limits, MediaType, ParsingError, parse, sniff
from tests.parsing.makers import docx, pdf, repacked

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 50
ELF = b"\x7fELF\x02\x01\x01" + b"\x00" * 50
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600


def archive(**entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, value in entries.items():
            target.writestr(name, value)
    return stream.getvalue()


def code_of(data: bytes, filename: str | None = None, media_type: str | None = None) -> str:
    with pytest.raises(ParsingError) as caught:
        parse(data, filename=filename, media_type=media_type)
    assert caught.value.status_code == 422
    assert caught.value.detail
    return caught.value.code


@pytest.mark.parametrize(
    ("data", "filename", "media_type", "code"),
    [
        (b"", "a.md", None, "file_empty"),
        (b" \n\t\n", "a.txt", None, "file_empty"),
        (b"\xef\xbb\xbf", "a.md", None, "file_empty"),
        (PNG, "a.pdf", None, "file_wrong_type"),
        (PNG, "a.md", None, "file_wrong_type"),
        (PNG, None, "application/pdf", "file_wrong_type"),
        (PNG, "a.png", None, "unsupported_media_type"),
        (ELF, "a.txt", None, "file_wrong_type"),
        (ELF, "program", None, "unsupported_media_type"),
        (archive(a=b"x"), "a.zip", None, "unsupported_media_type"),
        (archive(a=b"x"), "a.docx", None, "file_wrong_type"),
        (b"PK\x03\x04 truncated", "a.docx", None, "file_corrupt"),
        (b"plain words", "a.pdf", None, "file_wrong_type"),
        (b"plain words", "a.docx", None, "file_wrong_type"),
        (b"{}", None, "application/json", "unsupported_media_type"),
        (OLE, "a.doc", None, "unsupported_media_type"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx", None, "file_encrypted"),
        (bytes(range(256)) * 20, "a.bin", None, "unsupported_media_type"),
        (bytes(range(256)) * 20, "a.md", None, "file_wrong_type"),
        (b"%PDF-1.7\ngarbage", "a.pdf", None, "file_corrupt"),
    ],
)
def test_each_kind_of_bad_file_has_its_named_error(
    data: bytes, filename: str | None, media_type: str | None, code: str
) -> None:
    assert code_of(data, filename, media_type) == code


def test_a_docx_named_markdown_is_the_wrong_type() -> None:
    assert code_of(docx(lambda document: document.add_paragraph("x")), "a.md") == "file_wrong_type"


@pytest.mark.parametrize(
    ("data", "filename", "media_type", "found"),
    [
        (b"# x", "a.MD", None, MediaType.MARKDOWN),
        (b"# x", "a.md", "application/octet-stream", MediaType.MARKDOWN),
        (b"# x", "a.md", "text/plain; charset=utf-8", MediaType.MARKDOWN),
        (b"# x", None, "text/x-markdown", MediaType.MARKDOWN),
        (b"x", "a.mdx", None, MediaType.MDX),
        (b"x", "LICENSE.repo", None, MediaType.PLAIN),
        (b"<!DOCTYPE html><p>x", None, None, MediaType.HTML),
        (b"<!-- c -->\n<html><p>x", "a.txt", None, MediaType.HTML),
        (b"x", "a.rst", None, MediaType.RST),
        (b"{\\rtf1 x}", None, None, MediaType.RTF),
        (b"From: a@b.c\nTo: d@e.f\nSubject: hi\n\nx", None, None, MediaType.EML),
        (pdf([[("x", 12)]]), None, None, MediaType.PDF),
        (docx(), None, None, MediaType.DOCX),
    ],
)
def test_the_type_is_found(
    data: bytes, filename: str | None, media_type: str | None, found: MediaType
) -> None:
    assert sniff(data, filename=filename, media_type=media_type) == found


def test_a_zip_bomb_is_refused_before_it_is_opened() -> None:
    bomb = repacked(docx(), word__media__zeros=b"\x00" * 20_000_000)
    assert len(bomb) < 200_000
    assert code_of(bomb, "a.docx") == "file_too_large"


def test_the_character_limit_is_kept() -> None:
    with pytest.raises(ParsingError) as caught:
        parse(b"word " * 100, filename="a.txt", limits=Limits(characters=100))
    assert caught.value.code == "file_too_large"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Größe".encode(), "Größe"),
        (b"\xef\xbb\xbf" + "Größe".encode(), "Größe"),
        ("Größe".encode("utf-16"), "Größe"),
        ("some words in a row".encode("utf-16-le"), "some words in a row"),
        ("Die Größe “des” Pakets ist gleich".encode("cp1252"), "Die Größe “des” Pakets ist gleich"),
    ],
)
def test_encodings(data: bytes, text: str) -> None:
    assert parse(data, filename="a.txt").text == text


@pytest.mark.parametrize(
    "data",
    [
        "русский текст".encode("cp1251"),
        "日本語の文章です".encode("shift_jis"),
        "für größer schön".encode() + b"\xff",
    ],
)
def test_an_unknown_encoding_is_named_instead_of_stored_as_mojibake(data: bytes) -> None:
    assert code_of(data, "a.txt") == "file_encoding"
