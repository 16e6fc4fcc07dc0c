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

    ``tokens``: about those of a header that ends with it.
    """

    number: int
    level: int
    text: str
    tokens: int


class Headers:
    """Makes headers for one document; each is at most a quarter of ``maximum`` tokens.

    Headings are measured where they stand in the text: counting every header again would double the work on
    short sections.
    """

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
        self._fact_tokens = sum(self._tokens(fact) for fact in self._facts)
        self._title_tokens = self._tokens(self._title)

    def heading(self, number: int, level: int, text: str, units: int, above: Heading | None) -> Heading:
        """A heading below another one; ``units`` long where it stands."""
        text = one_line(text)
        if above is not None:
            before = above.tokens
        else:
            before = self._fact_tokens + (0 if text.casefold() == self._title_key else self._title_tokens)
        return Heading(number, level, text, before + units + SEPARATOR_TOKENS)

    def tokens(self, path: tuple[Heading, ...]) -> int:
        """About the tokens of a header with the line break after it."""
        return min(path[-1].tokens if path else self._fact_tokens + self._title_tokens, self._limit)

    def of(self, path: tuple[Heading, ...], columns: str = "") -> tuple[str, int]:
        """The header and about its tokens; ``("", 0)`` when there is none.

        ``columns``: the header row of a table that continues in this chunk; left out where it would not fit.
        """
        levels = [heading.text for heading in path if heading.text]
        tokens = path[-1].tokens if path else self._fact_tokens + self._title_tokens
        if self._title and (not levels or levels[0].casefold() != self._title_key):
            levels.insert(0, self._title)
        if columns:
            columns = one_line(columns.strip("| \n"))
            column_tokens = self._tokens(columns)
            if tokens + column_tokens <= self._limit:
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
