"""One embedded Postgres a run, migrated by the real migrations; the real app on it.

Tests commit for real and keep apart by their own names: a rule that only holds inside a rolled-back
transaction is not shown to hold. ``clean`` empties the tables for a test that counts.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import hypothesis
import pytest
from litestar import Litestar
from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.identity import Role
from app.identity import service as identity
from app.main import create_app
from app.rag.runtime import Rag, open_rag
from app.setup import bring_up_to_date
from tests.callers import caller

__all__ = ["caller"]  # a fixture

_numbers = itertools.count(1)

# The same examples in every run of continuous integration; elsewhere, and in `make proof`, new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA_DIR of the run."""
    return tmp_path_factory.mktemp("tridesk")


@pytest.fixture(scope="session")
def settings(data_dir: Path) -> Settings:
    """Settings of the run: nothing of the caller's environment."""
    return Settings(data_dir=data_dir, worker_in_server=False, sample_company=False)


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[Database]:
    """A migrated database on its own server."""
    database = Database(settings, embedded=EmbeddedPostgres(settings.data_dir, durable=False))
    await database.start()
    await bring_up_to_date(settings, database)
    yield database
    await database.stop()


@pytest.fixture(scope="session")
async def rag(settings: Settings, database: Database) -> AsyncIterator[Rag]:
    """The rag room with the real local model."""
    async with open_rag(settings, database) as rag:
        yield rag


@pytest.fixture(scope="session")
async def app(settings: Settings, database: Database, rag: Rag) -> AsyncIterator[Litestar]:
    """The real app; without a worker, so that tests decide when jobs run."""
    app = create_app(settings, database=database, rag=rag)
    opened, finished = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # In a task of its own: the lifespan's cancel scopes must be left by the task that entered them,
        # and pytest tears fixtures down in another.
        async with app.lifespan():
            opened.set()
            await finished.wait()

    living = asyncio.create_task(live())
    waiting = asyncio.create_task(opened.wait())
    await asyncio.wait({living, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if living.done():
        await living
    yield app
    finished.set()
    await living


@pytest.fixture(scope="session")
async def keys(database: Database) -> dict[str, str]:
    """One API key a role; the customer belongs to an account of their own."""
    made = {}
    async with database.session() as session:
        account = await identity.upsert_account(session, "fixture-account", "Fixture account")
        for role in Role:
            person = await identity.upsert_person(
                session,
                f"fixture-{role}",
                name=f"Fixture {role}",
                account_id=account.id if role is Role.customer else None,
                role=role,
            )
            _, made[role.value] = await identity.create_key(
                session, name=f"fixture {role}", role=role, person_id=person.id
            )
    return made


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, in the test's own loop."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types
    async with httpx.AsyncClient(transport=transport, base_url="http://tridesk.test") as client:
        yield client


@pytest.fixture
def as_role(app: Litestar, keys: dict[str, str]) -> Callable[[str], httpx.AsyncClient]:
    """``as_role("agent")`` is a client with that role's key."""

    def make(role: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]  # litestar's own ASGI types
            base_url="http://tridesk.test",
            headers={"Authorization": f"Bearer {keys[role]}"},
        )

    return make


@pytest.fixture
def unique() -> str:
    """A name that no other test has."""
    return f"name-{next(_numbers)}"


@pytest.fixture
async def clean(database: Database) -> None:
    """Empties the tables of the rag room."""
    async with database.engine.begin() as connection:
        for table in (
            "feedback",
            "answer",
            "chat",
            "document",
            "collection",
            "lexeme_delta",
            "lexeme_statistic",
        ):
            await connection.execute(text(f"delete from {table}"))
        await connection.execute(text("delete from corpus_delta"))
