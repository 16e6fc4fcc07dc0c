"""The app's opening and closing, with a database that is away, refuses, or comes back."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager

import httpx
import pytest

from app import database as database_module
from app import main, setup
from app.config import Settings
from app.database import Database
from app.exceptions import ConfigurationError, DatabaseUnavailableError
from app.main import create_app
from app.setup import bring_up_to_date, check_login


def client_of(app) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://tridesk.test")


class Coming:
    """A database step that fails until ``arrive``."""

    def __init__(self, error: Exception) -> None:
        self._error: Exception | None = error
        self.tried = asyncio.Event()

    async def __call__(self) -> None:
        self.tried.set()
        if self._error is not None:
            raise self._error

    def arrive(self) -> None:
        self._error = None


@pytest.fixture
def at_once(monkeypatch):
    """No pause between attempts."""
    monkeypatch.setattr(main, "RETRY_START", 0)


class TestADatabaseThatIsAwayAtStart:
    async def test_it_is_waited_for_with_readiness_red_and_liveness_green(
        self, settings, database, rag, at_once
    ):
        coming, opened = Coming(DatabaseUnavailableError("away")), asyncio.Event()

        async def prepare(rag):
            opened.set()

        app = create_app(settings, database=database, reach=coming, prepare=prepare)
        async with app.lifespan(), client_of(app) as client:
            assert (await client.get("/health/live")).status_code == 200
            red = await client.get("/health/ready")
            assert (red.status_code, red.json()["code"]) == (503, "service_unavailable")
            assert red.headers["retry-after"] == "2"
            coming.arrive()
            await asyncio.wait_for(opened.wait(), 30)
            await asyncio.sleep(0)
            assert (await client.get("/health/ready")).status_code == 200

    async def test_a_database_that_comes_back_unfit_is_told_once_and_tried_on(
        self, settings, database, at_once, caplog
    ):
        coming = Coming(DatabaseUnavailableError("away"))
        app = create_app(settings, database=database, reach=coming)
        async with app.lifespan():
            coming._error = ConfigurationError("run `tridesk migrate`")
            for _ in range(3):
                coming.tried.clear()
                await asyncio.wait_for(coming.tried.wait(), 30)
        told = [each.message for each in caplog.records if "tridesk migrate" in each.message]
        assert told == ["the server is not ready: run `tridesk migrate`"]

    async def test_closing_while_it_waits_ends_the_waiting(self, settings, database, at_once):
        coming = Coming(DatabaseUnavailableError("away"))
        app = create_app(settings, database=database, reach=coming)
        async with app.lifespan():
            pass
        coming.tried.clear()
        await asyncio.sleep(0)
        assert not coming.tried.is_set()

    async def test_what_was_opened_before_a_failure_is_closed_before_the_next_try(
        self, settings, database, rag, at_once, monkeypatch
    ):
        opened: list[str] = []

        @asynccontextmanager
        async def open_rag(*given):
            opened.append("open")
            try:
                yield rag
            finally:
                opened.append("close")

        monkeypatch.setattr(main, "open_rag", open_rag)
        done, failing = asyncio.Event(), [DatabaseUnavailableError("gone again")]

        async def prepare(rag):
            if failing:
                raise failing.pop()
            done.set()

        app = create_app(settings, database=database, prepare=prepare)
        async with app.lifespan():
            await asyncio.wait_for(done.wait(), 30)
            assert opened == ["open", "close", "open"]
        assert opened == ["open", "close", "open", "close"]

    async def test_any_other_error_at_start_is_raised(self, settings, database):
        app = create_app(settings, database=database, reach=Coming(ConfigurationError("unfit")))
        with pytest.raises((ConfigurationError, ExceptionGroup)) as caught:
            async with app.lifespan():
                pytest.fail("it has opened")
        assert caught.group_contains(ConfigurationError) if isinstance(caught.value, ExceptionGroup) else True


async def test_readiness_is_red_while_the_server_drains(app, client):
    app.state.draining = True
    try:
        assert (await client.get("/health/ready")).status_code == 503
    finally:
        app.state.draining = False
    assert (await client.get("/health/ready")).status_code == 200


@asynccontextmanager
async def refusing(sqlstate: str, message: str):
    """A server that speaks just enough of the protocol to refuse every login; yields its URL."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        if struct.unpack("!i", (await reader.readexactly(length - 4))[:4]) == (80877103,):  # TLS?
            writer.write(b"N")
            (length,) = struct.unpack("!i", await reader.readexactly(4))
            await reader.readexactly(length - 4)
        fields = b"".join(
            kind + value.encode() + b"\0"
            for kind, value in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", sqlstate), (b"M", message))
        )
        writer.write(b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"postgresql://app:hush@127.0.0.1:{server.sockets[0].getsockname()[1]}/desk"


class TestAServerOfYourOwn:
    @pytest.mark.parametrize(
        ("sqlstate", "message", "error", "advice"),
        [
            ("28P01", "password authentication failed", ConfigurationError, "the password of DATABASE_URL"),
            ("28000", "no pg_hba.conf entry", ConfigurationError, "check the user"),
            ("3D000", 'database "desk" does not exist', ConfigurationError, "create it"),
            ("57P03", "the database system is starting up", DatabaseUnavailableError, "does not answer"),
            ("53300", "too many clients already", DatabaseUnavailableError, "does not answer"),
        ],
    )
    async def test_a_refusal_is_explained_in_one_line_without_the_password(
        self, sqlstate, message, error, advice
    ):
        async with refusing(sqlstate, message) as url:
            settings = Settings(database_url=url)
            for attempt in (check_login, lambda database: bring_up_to_date(settings, database)):
                database = Database(settings)
                database.open()
                with pytest.raises(error) as caught:
                    await attempt(database)
                await database.stop()
                assert message in caught.value.detail
                assert advice in caught.value.detail
                assert "hush" not in caught.value.detail
                assert "\n" not in caught.value.detail

    async def test_an_old_server_is_refused_before_it_is_migrated(self, settings, database, monkeypatch):
        monkeypatch.setattr(setup, "MINIMUM_SERVER", 990_000)
        monkeypatch.setattr(setup, "migrate", lambda *given: pytest.fail("it was migrated"))
        with pytest.raises(ConfigurationError, match="is too old: Tridesk needs"):
            await bring_up_to_date(settings, database)

    async def test_an_old_pgvector_is_refused(self, settings, database, monkeypatch):
        monkeypatch.setattr(database_module, "MINIMUM_PGVECTOR", (99, 0, 0))
        with pytest.raises(ConfigurationError, match=r"pgvector \S+ is too old"):
            await check_login(database)
        with pytest.raises(ConfigurationError, match=r"pgvector \S+ is too old"):
            await bring_up_to_date(settings, database)

    async def test_bringing_it_up_to_date_again_and_at_once_changes_nothing(self, settings, database):
        await asyncio.gather(*(bring_up_to_date(settings, database) for _ in range(3)))
