"""The line above a chunk that says where it comes from: ``title > H1 > H2 | product | version``."""

from __future__ import annotations

from typing import NamedTuple

from app.rag.tokens import Tokenizer, truncate

ELLIPSIS = "…"
PART_CHARACTERS = 300  # a longer title or heading is shortened before anything is counted
SHARE = 4  # a header takes at most 1/4 of a chunk
SEPARATOR_TOKENS = 2  # " >" or " |", and one for what a part may count more behind it


class Heading(NamedTuple):
    """A heading on the way down to a section. ``number`` tells apart headings of the same words.

    ``units``: about its tokens, as measured where it stands.
    """

    number: int
    level: int
    text: str
    units: int


class Headers:
    """Makes headers for one document; each is at most a quarter of ``maximum`` tokens."""

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        maximum: int,
        title: str | None,
        product: str | None,
        version: str | None,
    ) -> None:
        self._tokenizer = tokenizer
        self._limit = maximum // SHARE
        self._title = one_line(title or "")
        self._title_key = self._title.casefold()
        self._facts = [part for part in (one_line(product or ""), one_line(version or "")) if part]
        self._title_tokens = self._tokens(self._title)
        self._fact_tokens = sum(self._tokens(fact) for fact in self._facts)
        self._made: dict[tuple[tuple[Heading, ...], str], tuple[str, int]] = {}

    def of(self, path: tuple[Heading, ...], columns: str = "") -> tuple[str, int]:
        """The header and about its tokens with the line break after it; ``("", 0)`` when there is none.

        ``columns``: the header row of a table that continues in this chunk; left out where it would not fit.
        """
        key = path, columns
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(path, one_line(columns.strip("| \n")))
        return made

    def _make(self, path: tuple[Heading, ...], columns: str) -> tuple[str, int]:
        # Headings were counted with the text: counting every header again would double the work on short sections.
        levels = [heading.text for heading in path if heading.text]
        tokens = self._fact_tokens + sum(heading.units + SEPARATOR_TOKENS for heading in path)
        if self._title and (not levels or levels[0].casefold() != self._title_key):
            levels.insert(0, self._title)
            tokens += self._title_tokens
        if columns and tokens + (column_tokens := self._tokens(columns)) <= self._limit:
            return _joined(levels, [*self._facts, columns]), tokens + column_tokens
        if tokens <= self._limit:
            return _joined(levels, self._facts), tokens
        return self._shortened(levels)

    def _tokens(self, part: str) -> int:
        return self._tokenizer.count(part) + SEPARATOR_TOKENS if part else 0

    def _shortened(self, levels: list[str]) -> tuple[str, int]:
        """Without its middle levels, then without the outer ones; at last the beginning of what is left."""
        header = _joined(levels, self._facts)
        while self._cost(header) > self._limit and len(levels) > 1:
            middle = len(levels) // 2 if len(levels) > 2 else 0
            del levels[middle]
            shown = [*levels[:middle], ELLIPSIS, *levels[middle:]] if middle else levels
            header = _joined(shown, self._facts)
        if self._cost(header) > self._limit:
            header = truncate(self._tokenizer, header, self._limit - 1).rstrip()
        return header, self._cost(header)

    def _cost(self, header: str) -> int:
        return self._tokenizer.count(header) + 1 if header else 0


def one_line(text: str) -> str:
    """The text on one line, shortened to PART_CHARACTERS code points."""
    text = " ".join(text[: 2 * PART_CHARACTERS].split())
    return text if len(text) <= PART_CHARACTERS else text[: PART_CHARACTERS - 1].rstrip() + ELLIPSIS


def _joined(levels: list[str], facts: list[str]) -> str:
    return " | ".join(part for part in (" > ".join(levels), *facts) if part)
