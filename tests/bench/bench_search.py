"""Search over HTTP at 100,000 chunks: ``python -m tests.bench.bench_search [CORPUS.jsonl.gz QUERIES.txt]``

The real app on a real socket and the real statements; one client in a process of its own; queries'
vectors are computed beforehand, so that embedding is not in the figures. The corpus' vectors are kept
under .bench/.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.config import Settings
from app.database import Database, create_engine
from app.identity import Role
from app.identity import service as identity
from app.lexical import expand
from app.main import create_app
from app.rag.embeddings.local import LocalEmbedder
from app.rag.ingest import fold_statistics
from app.rag.queries import query
from app.rag.retrieval import vector_literal
from app.rag.service import collections
from app.setup import bring_up_to_date
from tests.bench.scale import embed_corpus, read_corpus
from tests.live import serve

CACHE = Path(".bench")
DATA = Path("../shared/data/scale")
BATCH = 500
WARM_UP = 50


class Precomputed(LocalEmbedder):
    """The local model with the vectors of known questions at hand."""

    known: dict[str, NDArray[np.float32]]

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector computed beforehand; any other text is embedded."""
        found = self.known.get(text)
        return found if found is not None else await super().embed_query(text)


def client(url: str, key: str, questions: list[str]) -> list[float]:
    """Milliseconds of each search, one after the other on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    took = []
    for question in questions:
        body = json.dumps({"query": question, "limit": 10})
        started = time.perf_counter()
        connection.request("POST", "/v1/rag/search", body, headers)
        response = connection.getresponse()
        content = response.read()
        took.append((time.perf_counter() - started) * 1000)
        assert response.status == 200, content
    return took[WARM_UP:]


async def load(database: Database, rows: list[dict[str, str]], vectors: NDArray[np.float32]) -> None:
    """Rows in bulk, the vector index made afterwards."""
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        model = (await connection.execute(text("select id, dimensions from embedding_model"))).one()
        index = f"ix_chunk_embedding_model_{model.id}"
        definition = await connection.scalar(
            text("select pg_get_indexdef(CAST(:name AS regclass))"), {"name": index}
        )
        await connection.execute(text(f"drop index {index}"))
    guides: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        guides.setdefault(row["id"].partition("#")[0], []).append(number)
    async with database.session() as session:
        shelf = (await collections.create(session, name="scale")).id
    for guide, numbers in guides.items():
        async with database.session() as session:
            document = await session.scalar(
                text(
                    "insert into document (collection_id, title, source, media_type, audience, status,"
                    " content_hash, served_version)"
                    " values (:shelf, :guide, :guide, 'text/plain', '{public}', 'ready', '', 1)"
                    " returning id"
                ),
                {"shelf": shelf, "guide": guide},
            )
            for start in range(0, len(numbers), BATCH):
                part = numbers[start : start + BATCH]
                scope = {
                    "document_id": document,
                    "collection_id": shelf,
                    "version": 1,
                    "audience": ["public"],
                }
                scope |= {"valid_from": None, "valid_until": None}
                stored = await session.execute(query("store_chunks"), scope | {"rows": _json(part, rows)})
                ids = {row.ordinal: row.id for row in stored}
                literals = [vector_literal(vectors[number]) for number in part]
                await session.execute(
                    query("store_embeddings"),
                    {"model_id": model.id, "ids": [ids[n] for n in part], "embeddings": literals},
                )
    async with database.session() as session:
        await fold_statistics(session)
    async with owner.begin() as connection:
        await connection.execute(text("set local maintenance_work_mem = '512MB'"))
        await connection.execute(text(definition))
    async with owner.connect() as connection:
        # What autovacuum does within minutes of a load; the figure is of a database at rest.
        resting = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await resting.execute(text("vacuum (analyze) chunk, chunk_embedding, document, lexeme_statistic"))
    await owner.dispose()


def _json(part: list[int], rows: list[dict[str, str]]) -> str:
    return msgspec.json.encode(
        [
            {
                "ordinal": number,
                "heading_path": [],
                "header": rows[number].get("title", ""),
                "text": rows[number]["text"],
                "lexical_header": expand(rows[number].get("title", "")),
                "lexical_text": expand(rows[number]["text"]),
                "span_start": 0,
                "span_end": len(rows[number]["text"]),
                "hash": str(number),
                "tokens": 0,
            }
            for number in part
        ]
    ).decode()


async def prepare(database: Database, settings: Settings, corpus: Path, count: int) -> str:
    """Load everything; returns a customer's key."""
    await database.start()
    await bring_up_to_date(settings, database)
    rows = read_corpus(corpus, count)
    embedder = await LocalEmbedder.open(settings.data_dir / "models")
    vectors = await embed_corpus([row["text"] for row in rows], embedder, CACHE / "vectors")
    started = time.monotonic()
    await load(database, rows, vectors)
    print(f"{len(rows):,} chunks loaded and indexed in {time.monotonic() - started:.0f} s")
    async with database.session() as session:
        person = await identity.upsert_person(session, "bench", name="bench")
        _, key = await identity.create_key(session, name="bench", role=Role.customer, person_id=person.id)
    return key


def main() -> None:
    """Load, serve, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?", type=Path, default=DATA / "corpus.jsonl.gz")
    parser.add_argument("queries", nargs="?", type=Path, default=DATA / "queries.txt")
    parser.add_argument("--count", type=int, default=100_000)
    arguments = parser.parse_args()
    if not arguments.corpus.exists():
        print(f"{arguments.corpus} is not there: give a corpus.jsonl.gz and a queries.txt")
        return
    questions = arguments.queries.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder), worker_in_server=False, sample_company=False, log_level="WARNING"
        )
        database = Database(settings)
        key = asyncio.run(_with(database, prepare(database, settings, arguments.corpus, arguments.count)))
        asyncio.run(_precompute(settings, questions))
        try:
            with serve(create_app(settings)) as url:
                command = [
                    sys.executable,
                    "-m",
                    "tests.bench.search_client",
                    url,
                    key,
                    str(arguments.queries),
                ]
                took = json.loads(
                    subprocess.run(command, check=True, capture_output=True, env=os.environ).stdout
                )
        finally:
            asyncio.run(database.stop())
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    asked = f"{arguments.count:,} chunks, one client, {len(took)} queries"
    print(f"search over HTTP, {asked}: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


async def _with(database: Database, work: object) -> str:
    key: str = await work  # type: ignore[misc]  # a coroutine
    if database._engine is not None:  # the server stays up, this loop's connections do not
        await database._engine.dispose()
    return key


async def _precompute(settings: Settings, questions: list[str]) -> None:
    embedder = await LocalEmbedder.open(settings.data_dir / "models")
    Precomputed.known = {each: await embedder.embed_query(each) for each in questions}
    await embedder.aclose()
    from app.rag.embeddings import local  # the app opens its embedder by this name

    local.LocalEmbedder = Precomputed  # type: ignore[misc]  # only for this process


if __name__ == "__main__":
    main()
