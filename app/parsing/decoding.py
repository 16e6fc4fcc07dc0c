"""Bytes to text: byte order mark, the declared encoding, UTF-8, UTF-16 by its pattern, and cp1252 when
plausible.
"""

from __future__ import annotations

import codecs
import re

from app.parsing.exceptions import Code, ParsingError

# The longer UTF-32 mark begins with the UTF-16 one, so it is asked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
_MULTIBYTE = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")
_HIGH = re.compile(rb"[\x80-\xff]")
_SAMPLE = 65_536


def decode(data: bytes, *, declared: str | None = None) -> str:
    """The text of ``data``; raises ``file_encoding`` rather than storing mojibake."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strict(data[len(mark) :], encoding)
    wide = _wide_encoding(data)
    if wide:
        return _strict(data, wide)
    for encoding in filter(None, ("utf-8", _known(declared))):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    if not _plausible_cp1252(data):
        raise ParsingError(
            "the encoding is not UTF-8 and cannot be told; save it as UTF-8", code=Code.FILE_ENCODING
        )
    return _strict(data, "cp1252")


def looks_binary(data: bytes) -> bool:
    """True when the bytes cannot be text in any encoding that :func:`decode` knows."""
    if data.startswith(tuple(mark for mark, _ in _MARKS)) or _wide_encoding(data):
        return False
    sample = data[:_SAMPLE]
    return len(_CONTROLS.findall(sample)) > max(2, len(sample) // 200)


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ParsingError(
            f"the text is not valid {encoding}; save it as UTF-8", code=Code.FILE_ENCODING
        ) from error


def _known(declared: str | None) -> str | None:
    """The codec's name, when it is a text encoding (``hex`` or ``zlib`` are codecs, too)."""
    try:
        info = codecs.lookup(declared or "")
    except (LookupError, ValueError):
        return None
    return info.name if getattr(info, "_is_text_encoding", True) else None


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 without a mark: Latin text has a zero in every other byte."""
    sample = data[:2048]
    if len(sample) < 4 or len(data) % 2 or not sample.count(0):
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > half * 0.6 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.6 and odd < half * 0.05:
        return "utf-16-be"
    return None


def _plausible_cp1252(data: bytes) -> bool:
    """Western text is mostly ASCII, uses no undefined byte, and does not hold UTF-8 sequences."""
    if _CONTROLS.search(data) or any(byte in data for byte in b"\x81\x8d\x8f\x90\x9d"):
        return False
    high = len(_HIGH.findall(data))
    return high <= len(data) * 0.25 and len(_MULTIBYTE.findall(data)) <= high * 0.1
