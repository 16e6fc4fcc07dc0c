"""Counting and locating tokens, without the network and without special tokens.

>>> tokenizer = TiktokenTokenizer("cl100k_base")
>>> tokenizer.count("Refunds within 14 days"), tokenizer.offsets("14 days").tolist()
(5, [0, 2])

Any text is ordinary text: ``<|endoftext|>`` and ``[SEP]`` are counted as the characters they are, a lone
surrogate as one question mark, and a word of ten million letters in linear time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import regex  # type: ignore[import-untyped]  # ships no types

from app.rag.encodings import load

if TYPE_CHECKING:  # 20 MB that a process counting with tiktoken does not need
    from tokenizers import Tokenizer as HuggingFaceTokenizer

Offsets = npt.NDArray[np.int64]

# Texts are encoded in segments: it bounds the memory of a tokenizer's intermediate lists, and the time of
# byte-pair merging, which grows faster than the length of a run without white space.
SEGMENT = 32_768  # code points
_GRAPHEME = regex.compile(r"\X")
_GRAPHEME_WINDOW = 64  # code points looked at around a cut; longer clusters are an attack, not writing


class Tokenizer(Protocol):
    """What chunking and prompting need to know about a model's tokens."""

    @property
    def name(self) -> str:
        """The encoding's usual name."""

    def offsets(self, text: str) -> Offsets:
        """Where each token starts, in code points: shape ``(n_tokens,)``, non-decreasing.

        Tokens that share one code point (byte-level encodings do that) share its offset.
        """

    def count(self, text: str) -> int:
        """How many tokens the text has."""


class TiktokenTokenizer:
    """OpenAI's encodings ``cl100k_base`` and ``o200k_base``, from ranks that an installed package carries.

    Raises ``ConfigurationError`` when the encoding is unknown, or its ranks are missing or altered.
    """

    def __init__(self, name: str = "cl100k_base") -> None:
        self.name = name
        loaded = load(name)
        self._encoding = loaded.encoding
        self._byte_lengths = loaded.byte_lengths

    def offsets(self, text: str) -> Offsets:
        """See :class:`Tokenizer`."""
        return _join([start + self._offsets(segment) for start, segment in segments(text)])

    def count(self, text: str) -> int:
        """See :class:`Tokenizer`."""
        return sum(len(self._ids(_encodable(segment))) for _, segment in segments(text))

    def truncate(self, text: str, max_tokens: int) -> str:
        """See :func:`truncate`."""
        return truncate(self, text, max_tokens)

    def _ids(self, text: str) -> npt.NDArray[np.uint32]:
        return self._encoding.encode_to_numpy(text, disallowed_special=())

    def _offsets(self, segment: str) -> Offsets:
        segment = _encodable(segment)
        lengths = self._byte_lengths[self._ids(segment)]
        starts: Offsets = np.cumsum(lengths) - lengths
        if segment.isascii():
            return starts
        # A code point starts at every byte that is not a UTF-8 continuation (10xxxxxx: -128 to -65).
        leading = np.frombuffer(segment.encode(), np.int8) > -65
        return np.cumsum(leading, dtype=np.int64)[starts] - 1


class WordPieceTokenizer:
    """The tokenizer of a local model, without special tokens, truncation or padding."""

    def __init__(self, tokenizer: HuggingFaceTokenizer, *, name: str = "wordpiece") -> None:
        self.name = name
        # A copy: the caller's own settings stay as they are.
        self._tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True

    def offsets(self, text: str) -> Offsets:
        """See :class:`Tokenizer`. Characters that the model drops (controls, spaces) start no token."""
        return _join([start + self._offsets(segment) for start, segment in segments(text)])

    def count(self, text: str) -> int:
        """See :class:`Tokenizer`."""
        parts = [_encodable(segment) for _, segment in segments(text)]
        return sum(
            len(self._tokenizer.encode_batch_fast([part], add_special_tokens=False)[0]) for part in parts
        )

    def truncate(self, text: str, max_tokens: int) -> str:
        """See :func:`truncate`."""
        return truncate(self, text, max_tokens)

    def _offsets(self, segment: str) -> Offsets:
        # A batch of one: unlike a single `encode`, it lets other threads run meanwhile.
        spans = self._tokenizer.encode_batch([_encodable(segment)], add_special_tokens=False)[0].offsets
        return np.fromiter((start for start, _ in spans), np.int64, len(spans))


def truncate(tokenizer: Tokenizer, text: str, max_tokens: int) -> str:
    """The beginning of the text, at most ``max_tokens`` tokens when counted by itself; nothing of it for 0.

    Ends between two characters as people see them, where the limit leaves room for a whole one.
    """
    cut, room = len(text) if max_tokens > 0 else 0, max_tokens
    for start, segment in segments(text[:cut]):
        offsets = tokenizer.offsets(segment)
        if len(offsets) > room:
            cut = start + int(offsets[room])
            break
        room -= len(offsets)
    while cut and tokenizer.count(kept := text[: cut_between_graphemes(text, cut)]) > max_tokens:
        cut = min(int(tokenizer.offsets(kept)[max_tokens]), len(kept) - 1)
    return text[: cut_between_graphemes(text, cut)]


def segments(text: str) -> Iterator[tuple[int, str]]:
    """Parts of at most SEGMENT code points with their starts, cut at white space where there is some."""
    start = 0
    while len(text) - start > SEGMENT:
        low, high = start + SEGMENT // 2, start + SEGMENT
        # After a line break or before a space no token of the whole text is cut in two.
        end = text.rfind("\n", low, high) + 1 or max(text.rfind(" ", low, high), 0) or high
        yield start, text[start:end]
        start = end
    if start < len(text):
        yield start, text[start:]


def cut_between_graphemes(text: str, position: int, *, after: int = 0) -> int:
    """The last place in ``(after, position]`` inside no grapheme cluster; ``position`` if there is none."""
    if position >= len(text) or (text[position - 1 : position + 1].isascii() and text[position] != "\n"):
        return position
    low = max(after, position - _GRAPHEME_WINDOW)
    for match in _GRAPHEME.finditer(text, low, min(len(text), position + _GRAPHEME_WINDOW)):
        if match.end() > position:
            return match.start() if match.start() > after else position
        if match.end() == position:
            return position
    return position


def _encodable(text: str) -> str:
    """The text with lone surrogates as ``?``, of the same length; the embedders replace them alike."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _join(parts: list[Offsets]) -> Offsets:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
