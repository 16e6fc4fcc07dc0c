"""What a file is: by its first bytes, then by what was declared, then by its name."""

from __future__ import annotations

import io
import re
import zipfile
from enum import StrEnum
from pathlib import PurePath

from app.parsing.decoding import looks_binary
from app.parsing.exceptions import Code, ParsingError


class MediaType(StrEnum):
    """The canonical names of the formats that are read."""

    MARKDOWN = "text/markdown"
    MDX = "text/mdx"
    HTML = "text/html"
    RST = "text/x-rst"
    PLAIN = "text/plain"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    EML = "message/rfc822"
    RTF = "application/rtf"


_ALIASES = {
    "text/x-markdown": MediaType.MARKDOWN,
    "application/xhtml+xml": MediaType.HTML,
    "text/prs.fallenstein.rst": MediaType.RST,
    "text/rst": MediaType.RST,
    "application/x-pdf": MediaType.PDF,
    "text/rtf": MediaType.RTF,
}
_EXTENSIONS = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), MediaType.MARKDOWN),
    ".mdx": MediaType.MDX,
    **dict.fromkeys((".html", ".htm", ".xhtml"), MediaType.HTML),
    **dict.fromkeys((".rst", ".rest"), MediaType.RST),
    **dict.fromkeys((".txt", ".text", ".log"), MediaType.PLAIN),
    ".pdf": MediaType.PDF,
    ".docx": MediaType.DOCX,
    ".eml": MediaType.EML,
    ".rtf": MediaType.RTF,
}
_GENERIC = {"", "application/octet-stream", "binary/octet-stream", "application/x-unknown", "*/*"}
_BINARY = {MediaType.PDF, MediaType.DOCX, MediaType.RTF}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "an executable"),
    (b"MZ\x90\x00", "an executable"),
    (b"\xcf\xfa\xed\xfe", "an executable"),
    (b"\xca\xfe\xba\xbe", "an executable"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"OggS", "an audio or video file"),
    (b"ID3", "an audio file"),
    (b"SQLite format 3\x00", "a database"),
    (b"RIFF", "an audio, video or image file"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
)
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)
_MAIL = re.compile(
    rb"(?:(?:From|Received|Return-Path|Delivered-To|Message-ID|MIME-Version|Date|Subject|To):"
    rb"[^\n]*\n(?:[ \t][^\n]*\n)*){3}",
    re.IGNORECASE,
)


def sniff(data: bytes, *, filename: str | None, media_type: str | None) -> str:
    """The canonical media type (:class:`MediaType`).

    Raises ParsingError: ``file_empty``; ``file_encrypted`` for a password-protected Office container;
    ``file_wrong_type`` when the content contradicts a declared or named type that is read here;
    ``unsupported_media_type`` for everything else that is not text.
    """
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"):
        raise ParsingError("the file is empty", code=Code.FILE_EMPTY)
    expected = _expected(filename, media_type)
    found = _by_magic(data, expected)
    if found is not None:
        return _agreed(found, expected)
    if expected in _BINARY:
        raise _wrong(expected, "something else")
    if looks_binary(data):
        raise _refused("binary data of an unknown kind", expected)
    if expected is None:
        _refuse_foreign_declaration(media_type)
        return MediaType.PLAIN
    return expected


def _expected(filename: str | None, media_type: str | None) -> MediaType | None:
    """What the sender says it is: the declared type unless generic or plain text, then the file's
    extension.
    """
    declared = (media_type or "").split(";")[0].strip().lower()
    by_name = _EXTENSIONS.get(PurePath(filename or "").suffix.lower())
    by_type = _ALIASES.get(declared) or (MediaType(declared) if declared in set(MediaType) else None)
    if by_type in {None, MediaType.PLAIN} and by_name is not None:
        return by_name if declared in _GENERIC or declared.startswith("text/") or by_name in _BINARY else None
    return by_type


def _refuse_foreign_declaration(media_type: str | None) -> None:
    declared = (media_type or "").split(";")[0].strip().lower()
    if declared not in _GENERIC and not declared.startswith("text/"):
        raise ParsingError(
            f"{declared[:80]} is not a type that is read here", code=Code.UNSUPPORTED_MEDIA_TYPE
        )


def _by_magic(data: bytes, expected: MediaType | None) -> MediaType | None:
    if b"%PDF-" in data[:1024] and (expected is MediaType.PDF or data.lstrip()[:5] == b"%PDF-"):
        return MediaType.PDF
    if data.startswith(b"{\\rtf"):
        return MediaType.RTF
    if data.startswith((b"PK\x03\x04", _OLE)):
        return (_inside_ole if data.startswith(_OLE) else _inside_zip)(data, expected)
    for magic, name in _FOREIGN:
        if data.startswith(magic) or data[4:12] in {b"ftypisom", b"ftypmp42", b"ftypheic"}:
            raise _refused(name, expected)
    if expected in {None, MediaType.PLAIN, MediaType.HTML} and _HTML.match(data[:2048]):
        return MediaType.HTML
    if expected is None and _MAIL.match(data[:8192]):
        return MediaType.EML
    return None


def _inside_zip(data: bytes, expected: MediaType | None) -> MediaType:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {info.filename for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ParsingError("the file is damaged or incomplete", code=Code.FILE_CORRUPT) from error
    if "[Content_Types].xml" in names and any(name.startswith("word/document") for name in names):
        return MediaType.DOCX
    raise _refused("a ZIP archive", expected)


def _inside_ole(data: bytes, expected: MediaType | None) -> MediaType:
    """Office encrypts a DOCX by wrapping it into an OLE container with this stream in it."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise ParsingError("the document is protected by a password", code=Code.FILE_ENCRYPTED)
    raise _refused("an old Office file; save it as DOCX", expected)


def _agreed(found: MediaType, expected: MediaType | None) -> MediaType:
    lenient = expected is None or (found is MediaType.HTML and expected is MediaType.PLAIN)
    if found is expected or lenient:
        return found
    raise _wrong(expected, found)


def _refused(name: str, expected: MediaType | None) -> ParsingError:
    if expected is not None:
        return _wrong(expected, name)
    return ParsingError(f"{name} is not a type that is read here", code=Code.UNSUPPORTED_MEDIA_TYPE)


def _wrong(expected: MediaType | None, found: str) -> ParsingError:
    return ParsingError(
        f"the file is named or declared as {expected} but holds {found}", code=Code.FILE_WRONG_TYPE
    )
