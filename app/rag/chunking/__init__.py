"""Documents into chunks: the pieces of text that are embedded, searched and cited.

Structure decides first: a section is not mixed with its neighbours unless they are small, and a list, table,
code block or question with its answer stays whole while it fits. Lengths come from one pass of the tokenizer;
only what is near the limit is counted again. Chunks do not overlap, keep the text's order and hold all of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.parsing.blocks import Block
from app.rag.chunking.headers import Headers, Heading
from app.rag.chunking.outline import Outline, Section
from app.rag.chunking.packing import Group, Packer, Sizes
from app.rag.chunking.ruler import Ruler
from app.rag.chunking.splitting import fill
from app.rag.tokens import Tokenizer, cut_between_graphemes

SMALLEST_MAXIMUM = 16
# A stretch counted by itself differs from its part of the whole text at its edges: by at most 4 tokens where
# the blank before its first word is gone (all of both vocabularies), by one at the line break after the
# header, and by as little for each part of the header.
MARGIN = 16
LONG_WORD = 32  # code points; the margin holds for shorter first words


class Text(Protocol):
    """What chunking needs of a parsed document: ordered disjoint blocks that cover all but white space."""

    @property
    def text(self) -> str:
        """The stored text."""

    @property
    def blocks(self) -> Sequence[Block]:
        """Its blocks, spans in code points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Tokens of a chunk, header and body together. ``maximum`` is never exceeded, ``target`` aimed at."""

    target: int = 256
    maximum: int = 400

    def __post_init__(self) -> None:
        if self.maximum < SMALLEST_MAXIMUM or not 1 <= self.target <= self.maximum:
            raise ValueError(f"chunk limits need maximum >= {SMALLEST_MAXIMUM} and 1 <= target <= maximum")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A citable stretch: ``text == document_text[start:end]``, in code points.

    ``tokens`` counts ``embedding_text``: exactly where it is near the maximum, else give or take a few.
    ``hash`` is the SHA-256 of header and text, hexadecimal: the same chunk in a later version has the same.
    """

    ordinal: int
    heading_path: tuple[str, ...]
    header: str
    start: int
    end: int
    text: str
    tokens: int
    hash: str

    @property
    def embedding_text(self) -> str:
        """What is embedded and counted."""
        return embedding_text(self.header, self.text)


def embedding_text(header: str, text: str) -> str:
    """Header and body as the model sees them."""
    return f"{header}\n{text}" if header else text


def chunk(
    parsed: Text,
    *,
    title: str | None,
    tokenizer: Tokenizer,
    limits: Limits,
    product: str | None = None,
    version: str | None = None,
) -> list[Chunk]:
    """Cut a document; the same input gives the same chunks. No text, no chunks."""
    headers = Headers(
        tokenizer=tokenizer, maximum=limits.maximum, title=title, product=product, version=version
    )
    chunker = _Chunker(Ruler(parsed.text, tokenizer), tokenizer, headers, limits)
    blocks = [block for block in parsed.blocks if _has_text(parsed.text, block)]
    return list(chunker.chunks(blocks)) if blocks else []


class _Chunker:
    """One document on its way through outline, packing and the final count."""

    def __init__(self, ruler: Ruler, tokenizer: Tokenizer, headers: Headers, limits: Limits) -> None:
        self._ruler = ruler
        self._text = ruler.text
        self._tokenizer = tokenizer
        self._headers = headers
        self._limits = limits
        self._made_sizes: dict[int, Sizes] = {}

    def chunks(self, blocks: Sequence[Block]) -> Iterator[Chunk]:
        sections = Outline(self._ruler, self._headers, lambda path: self._sizes(path).maximum).read(blocks)
        groups = Packer(self._text, sections, self._sizes).pack()
        estimates = self._ruler.tokens([group.start for group in groups], [group.end for group in groups])
        ordinal = 0
        for group, estimate in zip(groups, estimates, strict=True):
            path = _common_path(sections, group)
            header, cost = self._headers.of(path, group.columns)
            headings = tuple(heading.text for heading in path)
            for start, end, tokens in self._fitting(group.start, group.end, header, estimate + cost):
                text = self._text[start:end]
                yield Chunk(ordinal, headings, header, start, end, text, tokens, _hash(header, text))
                ordinal += 1

    def _sizes(self, path: tuple[Heading, ...], columns: str = "") -> Sizes:
        tokens = self._headers.of(path, columns)[1] if columns else self._headers.tokens(path)
        sizes = self._made_sizes.get(tokens)
        if sizes is None:
            maximum, target = self._limits.maximum - tokens, self._limits.target - tokens
            target = min(max(target, self._limits.target // 4, 1), maximum)
            sizes = self._made_sizes[tokens] = Sizes(target=target, maximum=maximum)
        return sizes

    def _fitting(self, start: int, end: int, header: str, estimate: int) -> Iterator[tuple[int, int, int]]:
        """The span without outer blank lines, with its tokens; in halves while it is too long after all."""
        body = self._text[start:end]
        end = start + len(body.rstrip())
        start += len(body) - len(body.lstrip("\r\n"))
        if start >= end:
            return
        body = self._text[start:end]
        if estimate + MARGIN > self._limits.maximum or self._edges_in_words(start, end):
            estimate = self._tokenizer.count(embedding_text(header, body))
        if estimate <= self._limits.maximum or end - start == 1:
            yield start, end, estimate
            return
        span = self._ruler.span(start, end)
        half = (span.last - span.first + 1) // 2
        if span.last - span.first > half:
            pieces = list(fill(self._ruler, span, limit=half, room=half))
        else:  # one unit that by itself counts for more: no joint is left but the middle
            middle = cut_between_graphemes(self._text, (start + end) // 2, after=start)
            pieces = self._ruler.spans([start, middle], [middle, end])
        for piece in pieces:
            tokens = self._ruler.tokens([piece.start], [piece.end])[0] + self._limits.maximum // 4
            yield from self._fitting(piece.start, piece.end, header, tokens)

    def _edges_in_words(self, start: int, end: int) -> bool:
        """Whether counting apart could differ by more than the margin."""
        text = self._text
        beginning = text[start : min(end, start + LONG_WORD)]
        return (
            (start > 0 and not text[start - 1].isspace())
            or (end < len(text) and not text[end].isspace())
            or (len(beginning) == LONG_WORD and len(beginning.split(None, 1)) < 2)
        )


def _has_text(text: str, block: Block) -> bool:
    if block.start >= block.end:
        return False
    return not text[block.start].isspace() or not text[block.start : block.end].isspace()


def _common_path(sections: Sequence[Section], group: Group) -> tuple[Heading, ...]:
    first, last = sections[group.section].path, sections[group.last_section].path
    if group.section == group.last_section:
        return first
    return tuple(one for one, other in zip(first, last, strict=False) if one == other)


def _hash(header: str, text: str) -> str:
    # The length makes the border between the two unambiguous. Lone surrogates are hashed as they are.
    return hashlib.sha256(f"{len(header)}\n{header}{text}".encode("utf-8", "surrogatepass")).hexdigest()
