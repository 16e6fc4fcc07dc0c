"""Killed in mid-ingest, of everything or a part: afterwards all is there, once.

Real processes: `tridesk serve` on a DATA_DIR of its own, its Postgres, and kill -9.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.rag.preparation import prepare
from app.rag.runtime import Rag, chunking_plan
from app.rag.service import collections, documents
from app.setup import bring_up_to_date
from tests.rag.library import assert_statistics_exact, until

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = 30
WORDS = ("invoice", "refund", "seat", "plan", "ticket", "queue", "agent", "macro", "export", "login", "token")


def content(number: int) -> str:
    """Some five chunks, the same for the same number; two of its paragraphs are the same."""
    random_words = random.Random(number)
    paragraphs = [" ".join(random_words.choices(WORDS, k=170)) for _ in range(4)]
    return "\n\n".join(f"# Part {n}\n\n{each}." for n, each in enumerate([*paragraphs, paragraphs[0]]))


@dataclass
class Server:
    """`tridesk serve`, started and killed as often as wished."""

    data_dir: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data_dir),
            "DATA_DIR": str(self.data_dir),
            "PORT": "0",
            "PYTHONPATH": str(ROOT),
            "SAMPLE_COMPANY": "false",
        }
        log = (self.data_dir / "server.log").open("ab")
        with log:
            command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
            self.processes.append(
                subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
            )

    async def kill(self) -> None:
        self.processes[-1].kill()
        await asyncio.to_thread(self.processes[-1].wait)

    async def stop(self) -> None:
        self.processes[-1].terminate()
        await asyncio.to_thread(self.processes[-1].wait, 60)


@asynccontextmanager
async def a_server(data_dir: Path, count: int) -> AsyncIterator[tuple[Server, Database]]:
    """A server, and a database of ours beside it through which we have uploaded the documents, and look."""
    settings = Settings(data_dir=data_dir)
    database = Database(settings, embedded=EmbeddedPostgres(data_dir))
    await database.start()
    server = Server(data_dir)
    try:
        await bring_up_to_date(settings, database)
        async with database.session() as session:
            shelf = await collections.create(session, name="crash")
        for number in range(count):
            async with database.session() as session:
                await documents.take_in(
                    session,
                    documents.Upload(
                        collection_id=shelf.id,
                        content=content(number).encode(),
                        media_type="text/markdown",
                        audience="public",
                        source=f"{number}.md",
                    ),
                )
        yield server, database
    finally:
        if server.processes and server.processes[-1].poll() is None:
            await server.kill()
        await database.stop()


def postmaster(data_dir: Path) -> int:
    """Its pid, from the file that it writes itself."""
    (file,) = data_dir.rglob("postmaster.pid")
    return int(file.read_text().splitlines()[0])


async def ready(database: Database, at_least: int) -> bool:
    try:
        async with database.session() as session:
            statement = text("select count(*) from document where status = 'ready'")
            return int(await session.scalar(statement) or 0) >= at_least
    except Exception:  # noqa: BLE001 - it is being killed, in every possible state
        return False


async def queue_is_empty(database: Database) -> bool:
    async with database.session() as session:
        return not await session.scalar(text("select count(*) from pgqueuer"))


async def chunks(database: Database) -> Counter[str]:
    """How often each (source, place, hash) is stored."""
    async with database.session() as session:
        rows = await session.execute(
            text("select d.source, c.ordinal, c.hash from chunk c join document d on d.id = c.document_id")
        )
        return Counter(f"{row.source} {row.ordinal} {row.hash}" for row in rows)


async def assert_whole(database: Database, expected: Counter[str], count: int) -> None:
    await until(lambda: ready(database, count), seconds=120, every=0.2)
    await until(lambda: queue_is_empty(database), seconds=60, every=0.2)
    assert await chunks(database) == expected
    async with database.session() as session:
        for claim, statement in {
            "a document not ready once": "select count(*) from document where status <> 'ready'"
            " or served_version <> 1 or latest_version <> 1 or progress <> 1 or error_code is not null",
            "a chunk without its vector": "select count(*) from chunk c left join chunk_embedding e"
            " on e.chunk_id = c.id where e.chunk_id is null",
            "a vector without its chunk": "select count(*) from chunk_embedding e left join chunk c"
            " on c.id = e.chunk_id where c.id is null",
        }.items():
            assert await session.scalar(text(statement)) == 0, claim
    await assert_statistics_exact(database)


@pytest.fixture
def with_model(tmp_path: Path, data_dir: Path, rag: Rag) -> Path:
    """A DATA_DIR that has the quantised model already."""
    shutil.copytree(data_dir / "models", tmp_path / "models")
    return tmp_path


def planned(rag: Rag, count: int) -> Counter[str]:
    """The chunks that the documents make when nobody is killed."""
    plan = chunking_plan(rag.embedder)
    return Counter(
        f"{number}.md {each.ordinal} {each.hash}"
        for number in range(count)
        for each in prepare(content(number).encode(), None, "text/markdown", None, None, None, plan).passages
    )


async def test_killing_server_and_postgres_in_mid_ingest_loses_and_doubles_nothing(
    with_model: Path, rag: Rag
):
    count = 16
    async with a_server(with_model, count) as (server, database):
        server.start()
        await until(lambda: ready(database, 2), seconds=60)
        os.kill(postmaster(with_model), signal.SIGKILL)  # the server lives on
        await until(lambda: ready(database, 5), seconds=60)
        await server.kill()
        os.kill(postmaster(with_model), signal.SIGKILL)
        server.start()
        await assert_whole(database, planned(rag, count), count)
        await server.stop()


@pytest.mark.proof
async def test_the_plan_is_what_an_undisturbed_run_stores(with_model: Path, rag: Rag):
    async with a_server(with_model, DOCUMENTS) as (server, database):
        server.start()
        await assert_whole(database, planned(rag, DOCUMENTS), DOCUMENTS)
        await server.stop()


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(6))
async def test_kills_at_random_points(with_model: Path, rag: Rag, seed: int):
    chance = random.Random(seed)
    async with a_server(with_model, DOCUMENTS) as (server, database):
        server.start()
        for done in sorted(chance.sample(range(DOCUMENTS - 2), 4)):
            await until(lambda done=done: ready(database, done), seconds=120)
            await asyncio.sleep(chance.uniform(0, 0.5))
            victims = chance.choice(["server", "postgres", "both"])
            if victims != "postgres":
                await server.kill()
            if victims != "server":
                os.kill(postmaster(with_model), signal.SIGKILL)
            if victims != "postgres":
                server.start()
        await assert_whole(database, planned(rag, DOCUMENTS), DOCUMENTS)
        await server.stop()
