"""Viewers, cases that nobody else has, and an ear on what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from litestar import Litestar
from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.events import Subject
from app.events.constants import NOTICES
from app.events.dependencies import FEED
from app.events.feed import Feed
from app.identity import Principal, PrincipalKind, Role
from app.identity import service as identity
from app.main import create_app
from app.presence import Viewer
from app.requests import wrap_in_context
from tests.events.conftest import make_reader

__all__ = ["make_reader"]  # a fixture

MakeViewer = Callable[..., Awaitable[Principal]]


@pytest.fixture(autouse=True)
async def _nobody(database: Database) -> None:
    """Who is left from another test would be purged, and counted, in this one."""
    async with database.session() as session:
        await session.execute(text("delete from presence"))


@pytest.fixture
def subject() -> Subject:
    """A case that no other test has."""
    return Subject("test_case", uuid4())


@pytest.fixture
def viewer(database: Database) -> MakeViewer:
    """``await viewer("Ada")`` is a new agent of that name."""

    async def make(name: str = "An agent") -> Principal:
        async with database.session() as session:
            person = await identity.upsert_person(session, f"viewer-{uuid4()}", name=name, role=Role.agent)
        return Principal(
            kind=PrincipalKind.api_key,
            role=Role.agent,
            person_id=person.id,
            account_id=None,
            name=name,
            key_id=uuid4(),
        )

    return make


class Ear:
    """Hears all notices, as a feed does, and can tell when it has heard everything so far."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._heard: list[str] = []

    async def listen(self) -> None:
        await self._connection.add_listener(NOTICES, lambda *args: self._heard.append(args[-1]))

    async def about(self, subject: Subject) -> list[dict[str, Any]]:
        """What has been told about a subject up to now; notifications arrive as they were committed."""
        mark = f"mark {uuid4()}"
        await self._connection.execute("select pg_notify($1, $2)", NOTICES, mark)
        async with asyncio.timeout(5):
            while mark not in self._heard:  # noqa: ASYNC110 - the driver calls back, and nothing waits for it
                await asyncio.sleep(0.005)
        told = [json.loads(each) for each in self._heard if each.startswith("{")]
        return [each["data"] for each in told if each["subject_id"] == str(subject.id)]

    async def states(self, subject: Subject) -> list[str]:
        """The states that were told, in their order."""
        return [each["state"] for each in await self.about(subject)]


@pytest.fixture
async def ear(database: Database) -> AsyncIterator[Ear]:
    connection = await asyncpg.connect(database.dsn("listen"))
    try:
        ear = Ear(connection)
        await ear.listen()
        yield ear
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def app(settings: Settings, database: Database) -> Litestar:
    """Its lifespan is not entered: nothing here needs a model."""
    app = create_app(settings, database=database)
    wrap_in_context(app)
    return app


@pytest.fixture(scope="session")
def elsewhere(settings: Settings, database: Database) -> Litestar:
    """A second server on the same database."""
    app = create_app(settings, database=database)
    wrap_in_context(app)
    return app


@pytest.fixture
def servers(app: Litestar, elsewhere: Litestar, database: Database) -> Iterator[list[Litestar]]:
    """Both, each with a feed of its own that looks at the log only when it is told to."""
    servers = [app, elsewhere]
    for each in servers:
        each.state[FEED] = Feed(database, poll=60)
    yield servers
    for each in servers:
        assert not each.state[FEED]._watchers
        del each.state[FEED]


def named(viewers: list[Viewer]) -> dict[str, str]:
    """Names and states, in their order."""
    return {each.name: str(each.state) for each in viewers}
