"""Judged duplicates in a database of their own, compared through the real room."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from app import matching
from app.config import Settings
from app.database import Database
from app.events import Subject
from app.exceptions import UnavailableError
from app.matching import Entry, Match, Matcher, Vectors
from app.rag.evaluation import dataset
from app.rag.runtime import Rag, open_rag
from app.setup import bring_up_to_date

FINALISTS = 200


class NoModel:
    """A model that is away: what is compared with it is compared by words alone."""

    model_id = 1
    dimensions = 384

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Fails."""
        raise UnavailableError

    async def embed_query(self, text: str) -> Sequence[float]:
        """Fails."""
        raise UnavailableError


@dataclass(frozen=True, slots=True)
class Judged:
    """One query's matches, by the set's own ids, and the duplicates that it was judged to have."""

    id: str
    matches: list[tuple[str, Match]]
    duplicates: frozenset[str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A judged set in the index; ``kind`` is its subject type."""

    name: str
    kind: str
    judged: dataset.JudgedSet
    ids: dict[str, UUID]

    async def compare(self, database: Database, matcher: Matcher, *, without: bool = False) -> list[Judged]:
        """Every judged query's matches; ``without``: none of its duplicates is there to be found."""
        names = {each: name for name, each in self.ids.items()}
        found = []
        for query in self.judged.queries:
            duplicates = frozenset(
                name for name, grade in self.judged.grades.get(query.id, {}).items() if grade > 0
            ) - {query.id}
            if not duplicates:
                continue
            title, _, body = query.text.partition("\n")
            hidden = {query.id, *(duplicates if without else ())}
            async with database.session() as session:
                matches = await matcher.similar(
                    session,
                    title=title,
                    body=body,
                    types=[self.kind],
                    audiences=["staff"],
                    exclude=[self.ids[each] for each in hidden if each in self.ids],
                    limit=FINALISTS,
                )
            named = [(names[each.id], each) for each in matches]
            found.append(Judged(query.id, named, frozenset() if without else duplicates))
        return found


@asynccontextmanager
async def scratch() -> AsyncIterator[tuple[Database, Rag]]:
    """A migrated database that nothing else is in, with the local model."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), worker_in_server=False, sample_company=False)
        database = Database(settings)
        await database.start()
        try:
            await bring_up_to_date(settings, database)
            async with open_rag(settings, database) as rag:
                yield database, rag
        finally:
            await database.stop()


async def load(database: Database, rag: Rag, folder: Path) -> Loaded:
    """Index a set's corpus and embed it; prints how long both took."""
    judged = dataset.load(folder)
    ids = {each.id: uuid4() for each in judged.corpus}
    entries = [
        Entry(
            subject=Subject(folder.name, ids[each.id]),
            title=each.title,
            body=each.text,
            audience=["staff"],
            created_at=datetime.now(UTC),
        )
        for each in judged.corpus
    ]
    started = time.perf_counter()
    async with database.session() as session:
        await matching.index_many(session, entries)
    indexed = time.perf_counter()
    await Vectors(database, rag.embeds).sweep()
    embedded = time.perf_counter()
    print(
        f"{folder.name}: {len(ids):,} things indexed in {indexed - started:.1f} s,"
        f" embedded in {embedded - indexed:.1f} s"
    )
    return Loaded(folder.name, folder.name, judged, ids)
