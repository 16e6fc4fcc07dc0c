"""What an upload is encoded in, and its text as UTF-8, a piece at a time."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from enum import StrEnum

SNIFFED = 4096  # bytes that a UTF-16 without a mark is looked for in
NULS = 0.2  # of them, from which on it is one: every other byte of ASCII text
# As the WHATWG reads Latin-1: what stands at 0x80 to 0x9f is Windows' letters, where it has any.
WINDOWS = {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xA0)}


class Encoding(StrEnum):
    """What the bytes of an upload are."""

    utf8 = "utf-8"
    utf16_le = "utf-16-le"
    utf16_be = "utf-16-be"
    latin1 = "latin-1"


class Sniffer:
    """Fed with all of a file, tells its encoding: a file is UTF-8 exactly when every byte of it fits."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._marked: Encoding | None = None
        self._begun = False
        self._is_utf8 = True

    def feed(self, piece: bytes) -> None:
        """The next bytes; the first piece has at least four, if the file has."""
        if not self._begun:
            self._begun, self._marked = True, _marked(piece)
        if self._marked is None and self._is_utf8:
            self._is_utf8 = self._fits(piece)

    def result(self) -> Encoding:
        """After the last piece."""
        if self._marked is not None:
            return self._marked
        return Encoding.utf8 if self._is_utf8 and self._fits(b"", final=True) else Encoding.latin1

    def _fits(self, piece: bytes, *, final: bool = False) -> bool:
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            return False
        return True


def _marked(piece: bytes) -> Encoding | None:
    if piece.startswith(codecs.BOM_UTF16_LE):
        return Encoding.utf16_le
    if piece.startswith(codecs.BOM_UTF16_BE):
        return Encoding.utf16_be
    start = piece[:SNIFFED]
    half = max(1, len(start) // 2)
    if start[1::2].count(0) / half > NULS > start[::2].count(0) / half:
        return Encoding.utf16_le
    if start[::2].count(0) / half > NULS > start[1::2].count(0) / half:
        return Encoding.utf16_be
    return None


def as_utf8(pieces: Iterable[bytes], encoding: Encoding, *, size: int) -> Iterator[bytes]:
    """The text as UTF-8 in pieces of ``size`` bytes, the last one shorter.

    Without a mark at its beginning and without NUL, and with ``\\n`` at the end of each line. What does not
    fit a UTF-16 becomes U+FFFD.
    """
    inner = codecs.getincrementaldecoder(encoding)("replace")
    decoder = io.IncrementalNewlineDecoder(inner, translate=True)
    waiting, begun = bytearray(), False
    for piece, final in _with_end(pieces):
        text = decoder.decode(piece, final)
        if text and not begun:
            begun, text = True, text.removeprefix("\ufeff")
        if encoding is Encoding.latin1:
            text = text.translate(WINDOWS)
        waiting += text.replace("\0", "").encode("utf-8", "replace")
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def _with_end(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    for piece in pieces:
        yield piece, False
    yield b"", True
