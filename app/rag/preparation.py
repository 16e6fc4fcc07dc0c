"""What a child process does for ingestion: bytes to text, text to passages. Imports stay light."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from app.exceptions import TrideskError
from app.parsing import Block, Parsed, ParsingError, parse
from app.rag.chunking import Chunk, Limits, chunk
from app.rag.tokens import TiktokenTokenizer, Tokenizer, WordPieceTokenizer
from app.redaction import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkingPlan:
    """How to count and how long a passage may be, for one embedding model; sent to the child.

    ``tokenizer_file``: a Hugging Face tokenizer.json, or None to count with tiktoken's cl100k_base.
    """

    tokenizer_file: Path | None
    target: int
    maximum: int

    @property
    def whole(self) -> ChunkingPlan:
        """For what is one passage as long as it fits: a resolution note."""
        return replace(self, target=self.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A parsed and chunked file."""

    title: str | None
    text: str
    media_type: str
    language: str | None
    pages: int | None
    passages: list[Chunk]


def prepare(  # noqa: PLR0917 - what crosses to a child process is a plain tuple
    content: bytes,
    filename: str | None,
    media_type: str | None,
    title: str | None,
    product: str | None,
    product_version: str | None,
    plan: ChunkingPlan,
) -> Prepared:
    """Parse and chunk one file; raises ``ParsingError`` with the reason a file cannot be read."""
    parsed = without_cards(parse(content, filename=filename, media_type=media_type))
    passages = chunk(
        parsed,
        title=title or parsed.title,
        tokenizer=tokenizer_of(plan),
        limits=Limits(target=plan.target, maximum=plan.maximum),
        product=product,
        version=product_version,
    )
    if not passages:
        raise ParsingError("The file has no text.", code="file_without_text")
    return Prepared(
        title=parsed.title,
        text=parsed.text,
        media_type=parsed.media_type,
        language=parsed.language,
        pages=parsed.pages,
        passages=passages,
    )


def without_cards(parsed: Parsed) -> Parsed:
    """The parsed file without payment card numbers; each block stands where its text now is."""
    if redact(parsed.text) == parsed.text:
        return parsed if parsed.title is None else replace(parsed, title=redact(parsed.title))
    parts: list[str] = []
    blocks: list[Block] = []
    length = end = 0
    for block in parsed.blocks:
        between, inside = parsed.text[end : block.start], redact(parsed.text[block.start : block.end])
        start = length + len(between)
        length = start + len(inside)
        parts += [between, inside]
        blocks.append(replace(block, start=start, end=length))
        end = block.end
    text = "".join([*parts, parsed.text[end:]])
    title = None if parsed.title is None else redact(parsed.title)
    return replace(parsed, title=title, text=text, blocks=tuple(blocks))


def tokenizer_of(plan: ChunkingPlan) -> Tokenizer:
    """The tokenizer that a plan counts with; loaded once a process."""
    return _tokenizer(plan.tokenizer_file)


@cache
def _tokenizer(tokenizer_file: Path | None) -> Tokenizer:
    if tokenizer_file is None:
        return TiktokenTokenizer("cl100k_base")
    from tokenizers import Tokenizer as HuggingFaceTokenizer  # noqa: PLC0415 - 20 MB that the other kind does not need

    try:
        return WordPieceTokenizer(HuggingFaceTokenizer.from_file(str(tokenizer_file)))
    except Exception as error:
        raise TrideskError(f"the tokenizer file cannot be read: {error}") from error
