"""Files that people send: what they are, what they may be called, and which are refused. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath
from urllib.parse import quote

from app.conversations.constants import NAME_MAX, UNNAMED
from app.parsing import MediaType, ParsingError, sniff
from app.redaction import redact

UNKNOWN = "application/octet-stream"
READABLE = frozenset(str(each) for each in MediaType)  # kinds whose text can be extracted

_OFFICE = "application/vnd.openxmlformats-officedocument"
# (offset, first bytes, media type); the first that fits.
_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"BM", "image/bmp"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
_INSIDE_ZIP = (
    (b"word/document", f"{_OFFICE}.wordprocessingml.document"),
    (b"xl/workbook", f"{_OFFICE}.spreadsheetml.sheet"),
    (b"ppt/presentation", f"{_OFFICE}.presentationml.presentation"),
)
# ELF, Mach-O (both orders, 32 and 64 bits), universal Mach-O and Java classes, Windows shortcuts.
_PROGRAMS = (
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"L\x00\x00\x00\x01\x14\x02\x00",
    b"dex\n03",
)
# What Windows, macOS or Linux desktops run when it is double-clicked.
_RUN_BY_NAME = frozenset(
    f".{ending}"
    for line in (
        "apk app appimage application appx bat chm cmd com command cpl deb desktop dll dmg exe gadget hta",
        "inf ins iso jar jnlp js jse lnk msc msi msix msp mst pif pkg ps1 psm1 reg rpm scf scr sct",
        "settingcontent-ms shb sys url vb vbe vbs vhd vhdx workflow ws wsc wsf wsh xll",
    )
    for ending in line.split()
)
# Controls, and what reorders or hides letters: `exe.gpj` must not look like `jpg.exe`.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_FORBIDDEN = re.compile(r'[<>:"|?*]')  # in names on Windows


def media_type_of(content: bytes, name: str) -> str:
    """The type that the content shows; the name decides only between kinds of text.

    ``application/octet-stream`` for what is not known.
    """
    for offset, magic, media_type in _MAGIC:
        if content.startswith(magic, offset):
            return media_type
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return next((kind for mark, kind in _INSIDE_ZIP if mark in content), "application/zip")
    if _is_svg(content):
        return "image/svg+xml"
    for each in (name, None):
        try:
            return str(sniff(content, filename=each, media_type=None))
        except ParsingError:  # what the name says is not what the content is
            continue
    return UNKNOWN


def _is_svg(content: bytes) -> bool:
    start = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith(b"<") and b"<svg" in start and not start.startswith((b"<!doctype html", b"<html"))


def is_program(content: bytes, name: str) -> bool:
    """Whether a computer runs it: by its first bytes, or by the ending of its name."""
    is_windows = content.startswith(b"MZ") and b"PE\x00\x00" in content[:4096]
    # Windows drops dots and spaces at the end of a name.
    ending = PurePath(name.rstrip(". ").lower()).suffix
    return is_windows or content.startswith((*_PROGRAMS, b"MZ\x90\x00")) or ending in _RUN_BY_NAME


def clean_name(given: str | None) -> str:
    """A file name without folders, invisible characters and card numbers, ``NAME_MAX`` characters at most;
    the ending stays. ``attachment`` if nothing is left.
    """
    last = re.split(r"[/\\]", given or "")[-1]
    name = unicodedata.normalize("NFC", _UNSEEN.sub("", last))
    name = _FORBIDDEN.sub("_", redact(" ".join(name.split()))).strip(". ")
    if len(name) > NAME_MAX:
        ending = PurePath(name).suffix[:20]
        name = name[: NAME_MAX - len(ending)].rstrip(". ") + ending
    return name or UNNAMED


def content_disposition(name: str) -> str:
    """``attachment`` with the name by RFC 6266, section 4.3: in ASCII for old clients, and in UTF-8."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\%;]', "_", plain).strip() or UNNAMED
    encoded = quote(name, safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
