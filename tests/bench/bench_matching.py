"""Things compared at scale: ``python -m tests.bench.bench_matching [CORPUS.jsonl.gz QUERIES.txt]``

A seeded generator makes tickets of one to six real passages. Their vectors are those of a passage each, made
once and kept under .bench/; queries' vectors are at hand, so that embedding is not in the figures. Vectors
are loaded before their index is made, as after an import; the statements are the real ones.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app import matching
from app.database import Database, create_engine
from app.events import Subject
from app.matching import Entry, Match, Matcher
from app.matching.vectors import literal
from app.rag.embeddings.local import LocalEmbedder
from app.rag.runtime import Rag
from tests.bench.bench_search import CACHE, DATA
from tests.bench.duplicates import scratch
from tests.bench.scale import embed_corpus, read_corpus

KIND = "ticket"
SEED = 7
SLICE = 5_000
QUERIES = 200
WARM_UP = 20
STORE_VECTORS = text(
    "insert into matchable_embedding (matchable_id, model_id, subject_type, audience, text_hash, embedding)"
    " select m.id, CAST(:model AS smallint), m.subject_type, m.audience, m.text_hash, CAST(v.e AS halfvec)"
    " from unnest(CAST(:ids AS uuid[]), CAST(:vectors AS text[])) v (id, e) join matchable m on m.id = v.id"
)

Ask = Callable[[int], Awaitable[list[Match]]]


class AtHand:
    """An ``Embeds`` whose vectors were computed beforehand."""

    def __init__(self, model_id: int, dimensions: int) -> None:
        self.model_id = model_id
        self.dimensions = dimensions
        self.vector: Sequence[float] = ()

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """The one vector that is at hand."""
        return [self.vector for _ in texts]

    async def embed_query(self, text: str) -> Sequence[float]:
        """The one vector that is at hand."""
        return self.vector


def tickets(passages: list[str], count: int) -> list[Entry]:
    """Tickets over four years; every fourth has an error signature of some thousand."""
    chance = random.Random(SEED)
    start = datetime(2022, 1, 1, tzinfo=UTC)
    made = []
    for number in range(count):
        body = [passages[number], *chance.choices(passages, k=chance.choice((0, 0, 1, 1, 2, 5)))]
        signature = [f"error-{chance.randrange(5_000)}"] if chance.random() < 0.25 else []
        made.append(
            Entry(
                subject=Subject(KIND, uuid4()),
                title=" ".join(passages[number].split()[:9]),
                body="\n".join(body),
                audience=["staff", f"account:{chance.randrange(2_000)}"],
                created_at=start + timedelta(minutes=20 * number),
                signatures=signature,
            )
        )
    return made


async def fill(database: Database, entries: list[Entry], vectors: NDArray[np.float32], model_id: int) -> None:
    """Index, load vectors, make their index, come to rest; prints the rates."""
    started = time.perf_counter()
    for start in range(0, len(entries), SLICE):
        async with database.session() as session:
            await matching.index_many(session, entries[start : start + SLICE])
        async with database.session() as session:
            await matching.fold_statistics(session)
    took = time.perf_counter() - started
    print(f"{len(entries):,} tickets indexed in {took:.0f} s: {len(entries) / took:,.0f} a second")
    owner = create_engine(database.dsn("owner"), command_timeout=None)
    name = f"ix_matchable_embedding_model_{model_id}"
    async with owner.begin() as connection:
        made = await connection.scalar(
            text("select pg_get_indexdef(CAST(:name AS regclass))"), {"name": name}
        )
        await connection.execute(text(f"drop index {name}"))
    for start in range(0, len(entries), SLICE):
        part = slice(start, start + SLICE)
        literals = [literal(vector.tolist()) for vector in vectors[part]]
        ids = [each.subject.id for each in entries[part]]
        async with database.session() as session:
            await session.execute(STORE_VECTORS, {"model": model_id, "ids": ids, "vectors": literals})
            await session.execute(text("delete from matchable_pending"))
            await matching.fold_statistics(session, least=0)
    started = time.perf_counter()
    async with owner.begin() as connection:
        await connection.execute(text("set local maintenance_work_mem = '512MB'"))
        await connection.execute(text(made))
    print(f"vector index built in {time.perf_counter() - started:.0f} s")
    async with owner.connect() as connection:
        resting = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await resting.execute(
            text("vacuum (analyze) matchable, matchable_embedding, matchable_lexeme, matchable_pending")
        )
    await owner.dispose()


async def measure(name: str, ask: Ask) -> None:
    """Time one kind of question, one after the other on one connection; prints p50 and p95."""
    took, found = [], 0
    for number in range(WARM_UP + QUERIES):
        started = time.perf_counter()
        found += len(await ask(number))
        took.append((time.perf_counter() - started) * 1000)
    took = took[WARM_UP:]
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    print(f"{name:38} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   {found / (WARM_UP + QUERIES):5.1f} matches")


async def questions(
    database: Database, rag: Rag, entries: list[Entry], vectors: NDArray[np.float32], asked: list[str]
) -> None:
    """Every kind of question that a desk asks."""
    model = AtHand(rag.embeds.model_id, rag.embeds.dimensions)
    matcher = Matcher(model)
    chance = random.Random(SEED)
    picks = [chance.randrange(len(entries)) for _ in range(WARM_UP + QUERIES)]
    heads = {each: (await rag.embedder.embed_query(each)).tolist() for each in asked[: WARM_UP + QUERIES]}

    async def similar(number: int, *, audiences: Sequence[str] = ("staff",), **what: object) -> list[Match]:
        model.vector = vectors[picks[number]].tolist()
        async with database.session() as session:
            return await matcher.similar(session, types=[KIND], audiences=audiences, **what)  # type: ignore[arg-type]  # passed through

    def report(words: int, number: int) -> str:
        start = picks[number] % (len(entries) - 300)
        return " ".join(" ".join(each.body for each in entries[start : start + 300]).split()[:words])

    def account(number: int) -> list[str]:
        return [each for each in entries[picks[number]].audience if each != "staff"]

    async def search(number: int) -> list[Match]:
        model.vector = heads[asked[number]]
        async with database.session() as session:
            return await matcher.search(session, asked[number], types=[KIND], audiences=["staff"], limit=20)

    async def typed(number: int) -> list[Match]:
        return await similar(number, title=entries[picks[number]].title)

    async def by_id(number: int) -> list[Match]:
        return await similar(number, subject=entries[picks[number]].subject)

    async def written(number: int) -> list[Match]:
        return await similar(number, title=entries[picks[number]].title, body=report(200, number))

    async def long(number: int) -> list[Match]:
        return await similar(number, title=entries[picks[number]].title, body=report(2_000, number))

    async def customer(number: int) -> list[Match]:
        return await similar(number, audiences=account(number), title=entries[picks[number]].title)

    await measure("similar to a title", typed)
    await measure("similar to a ticket in the index", by_id)
    await measure("similar to a text of 200 words", written)
    await measure("similar to a text of 2,000 words", long)
    await measure("a customer's, of one account's 50", customer)
    await measure("search of a list, 20 shown", search)


async def main() -> None:
    """Load, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?", type=Path, default=DATA / "corpus.jsonl.gz")
    parser.add_argument("queries", nargs="?", type=Path, default=DATA / "queries.txt")
    parser.add_argument("--count", type=int, default=100_000)
    arguments = parser.parse_args()
    if not arguments.corpus.exists():
        print(f"{arguments.corpus} is not there: give a corpus.jsonl.gz and a queries.txt")
        return
    asked = arguments.queries.read_text(encoding="utf-8").splitlines()
    passages = [row["text"] for row in read_corpus(arguments.corpus, arguments.count)]
    async with scratch() as (database, rag):
        embedder = rag.embedder
        assert isinstance(embedder, LocalEmbedder)
        vectors = await embed_corpus(passages, embedder, CACHE / "vectors")
        entries = tickets(passages, len(passages))
        await fill(database, entries, vectors, rag.embeds.model_id)
        await questions(database, rag, entries, vectors, asked)


if __name__ == "__main__":
    asyncio.run(main())
