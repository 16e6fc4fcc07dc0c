"""A desk of its own for each test: nobody else has things of its kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app import matching
from app.database import Database
from app.events import Subject
from app.matching import Entry, Match, Matcher, Vectors
from app.rag.runtime import Rag
from tests.openai_server import bag_of_words

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


@dataclass
class BagOfWords:
    """Bags of words in the place of a model; says what it was asked for, and waits or fails when told to."""

    model_id: int
    dimensions: int = 384
    texts: list[str] = field(default_factory=list)
    failure: Callable[[str], Exception | None] = lambda _: None
    before: Callable[[], Awaitable[None]] | None = None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.before is not None:
            await self.before()
        self.texts.extend(texts)
        return [await self.embed_query(each) for each in texts]

    async def embed_query(self, text: str) -> list[float]:
        if (error := self.failure(text)) is not None:
            raise error
        return bag_of_words(text, self.dimensions).tolist()


@dataclass
class Shelf:
    """Things of one kind, and what tests want to know of them."""

    database: Database
    embeds: BagOfWords
    kind: str

    @property
    def matcher(self) -> Matcher:
        return Matcher(self.embeds)

    @property
    def vectors(self) -> Vectors:
        return Vectors(self.database, self.embeds)

    def entry(self, title: str, body: str = "", **fields: Any) -> Entry:
        options = {"audience": ["staff"], "created_at": NOW, **fields}
        subject = Subject(options.pop("kind", self.kind), options.pop("id", None) or uuid4())
        return Entry(subject=subject, title=title, body=body, **options)

    async def add(self, title: str, body: str = "", *, embed: bool = True, **fields: Any) -> Subject:
        """One thing in the index, with its vector unless said otherwise."""
        return (await self.add_all([self.entry(title, body, **fields)], embed=embed))[0]

    async def add_all(self, entries: Sequence[Entry], *, embed: bool = True) -> list[Subject]:
        async with self.database.session() as session:
            await matching.index_many(session, entries)
        if embed:
            await self.vectors.sweep()
        return [each.subject for each in entries]

    async def similar(self, title: str = "", body: str = "", **options: Any) -> list[Match]:
        options = {"types": [self.kind], "audiences": ["staff"], **options}
        async with self.database.session() as session:
            return await self.matcher.similar(session, title=title, body=body, **options)

    async def search(self, q: str, **options: Any) -> list[Match]:
        options = {"types": [self.kind], "audiences": ["staff"], **options}
        async with self.database.session() as session:
            return await self.matcher.search(session, q, **options)

    async def hashes(self, *subjects: Subject) -> dict[UUID, str]:
        """Which text each stored vector is of."""
        async with self.database.session() as session:
            rows = await session.execute(
                text(
                    "select matchable_id, text_hash from matchable_embedding where matchable_id = any (:ids)"
                ),
                {"ids": [each.id for each in subjects]},
            )
            return {row.matchable_id: row.text_hash for row in rows}

    async def pending(self, *subjects: Subject) -> set[UUID]:
        async with self.database.session() as session:
            rows = await session.scalars(
                text("select matchable_id from matchable_pending where matchable_id = any (:ids)"),
                {"ids": [each.id for each in subjects]},
            )
            return set(rows)

    async def clear(self) -> None:
        async with self.database.session() as session:
            await session.execute(
                text("delete from matchable where starts_with(subject_type, :kind)"), {"kind": self.kind}
            )


@pytest.fixture
async def shelf(database: Database, rag: Rag, unique: str) -> AsyncIterator[Shelf]:
    """An empty shelf; emptied again."""
    async with database.session() as session:  # what other rooms' tests left is not ours to embed
        await session.execute(text("delete from matchable_pending"))
    shelf = Shelf(database, BagOfWords(rag.embeds.model_id), f"kind-{unique}")
    yield shelf
    await shelf.clear()


def titled(matches: Sequence[Match]) -> list[UUID]:
    """The found ids, best first."""
    return [each.id for each in matches]
