"""The session commits before the response, and a database that is away is 503 until it is back."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from litestar import Litestar, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.database import Database, create_engine, is_database_away
from app.exceptions import ConfigurationError, DatabaseUnavailableError, UnavailableError
from app.idempotency.dependencies import provide_keyed_request, provide_session
from app.main import create_app
from app.problems import EXCEPTION_HANDLERS
from app.rag.service import collections


@asynccontextmanager
async def an_app(database: Database, *handlers: object) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        route_handlers=list(handlers),  # type: ignore[arg-type]  # handlers of the test
        state=State({"database": database}),
        dependencies={"session": Provide(provide_session), "keyed": Provide(provide_keyed_request)},
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]  # ASGI types
    async with httpx.AsyncClient(transport=transport, base_url="http://tridesk.test") as client:
        yield client


@pytest.fixture
async def deferred(database: Database, unique: str) -> AsyncIterator[str]:
    """A table whose constraint is only looked at by COMMIT."""
    table = f"deferred_{unique.replace('-', '_')}"
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.execute(text(f"create table {table} (n int unique deferrable initially deferred)"))
    yield table
    async with owner.begin() as connection:
        await connection.execute(text(f"drop table {table}"))
    await owner.dispose()


async def test_a_commit_that_a_constraint_refuses_is_an_error_to_the_client(database, deferred):
    @post("/", status_code=201)
    async def handler(session: NamedDependency[AsyncSession]) -> dict[str, str]:
        await session.execute(text(f"insert into {deferred} values (1), (1)"))
        return {"created": "yes"}

    async with an_app(database, handler) as client:
        response = await client.post("/")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "created" not in response.text
    async with database.session() as session:
        assert await session.scalar(text(f"select count(*) from {deferred}")) == 0


async def test_a_commit_on_a_connection_that_was_killed_is_503(database, unique):
    @post("/", status_code=201)
    async def handler(session: NamedDependency[AsyncSession]) -> dict[str, str]:
        await collections.create(session, name=unique)
        pid = await session.scalar(text("select pg_backend_pid()"))
        async with database.session() as other:
            await other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        return {"created": "yes"}

    async with an_app(database, handler) as client:
        response = await client.post("/")
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert "retry-after" in response.headers
    async with database.session() as session:
        assert not await session.scalar(
            text("select count(*) from collection where name = :name"), {"name": unique}
        )


async def test_an_error_in_the_handler_rolls_back(database, unique):
    @post("/", status_code=201)
    async def handler(session: NamedDependency[AsyncSession]) -> dict[str, str]:
        await collections.create(session, name=unique)
        raise UnavailableError("later")

    async with an_app(database, handler) as client:
        assert (await client.post("/")).status_code == 503
    async with database.session() as session:
        assert not await session.scalar(
            text("select count(*) from collection where name = :name"), {"name": unique}
        )


async def test_a_statement_that_takes_too_long_is_503(settings, database):
    slow = Database(settings, embedded=database._embedded)
    slow.open()

    @post("/")
    async def handler(session: NamedDependency[AsyncSession]) -> None:
        connection = await (await session.connection()).get_raw_connection()
        assert connection.driver_connection is not None
        await connection.driver_connection.execute("select pg_sleep(30)", timeout=0.05)

    try:
        async with an_app(slow, handler) as client:
            response = await client.post("/")
    finally:
        await slow.engine.dispose()
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")


class Relay:
    """A TCP port before the server's socket that can be cut and mended: a database that comes and goes."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for each in self._writers:
            each.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_unix_connection(self._path)
        self._writers |= {writer, downstream}
        await asyncio.gather(self._copy(reader, downstream), self._copy(upstream, writer))

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def relay(database: Database) -> AsyncIterator[Relay]:
    place = parse_qs(urlsplit(database.dsn("app")).query)
    relay = Relay(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}")
    await relay.mend()
    yield relay
    await relay.cut()


@pytest.fixture
async def away(settings, database: Database, relay: Relay) -> AsyncIterator[Database]:
    """The run's database as a server of one's own, reached through the relay."""
    user = database.dsn("app").split("//")[1].split("@")[0]
    away = Database(replace(settings, database_url=f"postgresql://{user}@127.0.0.1:{relay.port}/tridesk"))
    away.open()
    yield away
    await away.stop()


async def test_requests_are_503_while_the_database_is_away_and_well_again_without_restart(
    settings, away, relay, rag, keys
):
    app = create_app(settings, database=away, rag=rag)
    app.state.rag = rag  # as the lifespan leaves it
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]  # ASGI types
    headers = {"Authorization": f"Bearer {keys['agent']}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://tridesk.test", headers=headers
    ) as client:
        assert (await client.get("/v1/rag/collections")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 200
        for _ in range(2):
            await relay.cut()
            for method, path, body in (
                ("GET", "/v1/rag/collections", None),
                ("POST", "/v1/rag/search", {"query": "refund"}),
                ("POST", "/v1/rag/answers", {"question": "refund?"}),
                ("GET", "/health/ready", None),
            ):
                response = await client.request(method, path, json=body)
                assert (response.status_code, response.json()["code"]) == (503, "database_unavailable"), path
                assert response.headers["content-type"] == "application/problem+json"
            assert (await client.get("/health/live")).status_code == 200
            await relay.mend()
            assert (await client.get("/v1/rag/collections")).status_code == 200
            assert (await client.get("/health/ready")).status_code == 200


async def test_a_streaming_answer_holds_no_connection(settings, database, rag, keys, unique):
    """With a pool of one connection, requests are served while a stream is open and unread."""
    single = Database(replace(settings, database_pool_size=1), embedded=database._embedded)
    single._engine = create_engine(single.dsn(), pool_size=1)
    single._engine.pool._max_overflow = 0  # type: ignore[attr-defined]  # the queue pool's
    single._sessions = async_sessionmaker(single._engine, expire_on_commit=False)
    app = create_app(settings, database=single, rag=rag)
    app.state.rag = rag
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    sent: list[bytes] = []
    body = b'{"question":"How long do refunds take?"}'

    requests = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, object]:
        if (request := next(requests, None)) is not None:
            return request
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            sent.append(bytes(message["body"]))  # type: ignore[call-overload]  # the body is bytes
            begun.set()
            await go_on.wait()
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/rag/answers",
        "raw_path": b"/v1/rag/answers",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"accept", b"text/event-stream"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"authorization", f"Bearer {keys['agent']}".encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("tridesk.test", 80),
    }
    streaming = asyncio.create_task(app(scope, receive, send))  # type: ignore[arg-type]  # a plain dict
    try:
        await asyncio.wait_for(begun.wait(), 10)
        assert single.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # the queue pool's
        async with asyncio.timeout(3), single.session() as session:
            assert await session.scalar(text("select 1")) == 1
    finally:
        go_on.set()
        await asyncio.wait_for(streaming, 10)
        await single.engine.dispose()
    assert b"event: sources" in sent[0]
    assert b"event: done" in b"".join(sent)


async def test_a_dead_port_is_told_apart_from_a_wrong_statement(settings, database):
    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
    nowhere = Database(replace(settings, database_url=f"postgresql://a@127.0.0.1:{port}/x"))
    nowhere.open()
    with pytest.raises(DatabaseUnavailableError):
        await nowhere.ping()
    with pytest.raises(ConnectionRefusedError) as caught:
        async with nowhere.session() as session:
            await session.execute(text("select 1"))
    assert is_database_away(caught.value)
    await nowhere.stop()
    with pytest.raises(DBAPIError) as wrong:
        async with database.session() as session:
            await session.execute(text("select * from no_such_table"))
    assert not is_database_away(wrong.value)


async def test_a_server_that_accepts_and_says_nothing_is_away(settings, monkeypatch):
    monkeypatch.setattr("app.database.CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = Database(replace(settings, database_url=f"postgresql://a@127.0.0.1:{port}/x"))
        database.open()
        with pytest.raises(DatabaseUnavailableError):
            async with database.session() as session:
                await session.execute(text("select 1"))
        await database.stop()


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (DatabaseUnavailableError("x"), True),
        (PoolTimeoutError("x"), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), True),
        (FileNotFoundError(errno.ENOENT, "no socket"), True),
        (socket.gaierror(socket.EAI_NONAME, "unknown host"), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.AdminShutdownError("stopping"), True),
        (asyncpg.TooManyConnectionsError("full"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (caused(RuntimeError("wrapped"), ConnectionResetError(errno.ECONNRESET, "x")), True),
        # a file that is missing, and an endpoint that refuses the connection, are not the database
        (FileNotFoundError(errno.ENOENT, "no file", "tokenizer.json"), False),
        (caused(UnavailableError("the model"), ConnectionRefusedError(errno.ECONNREFUSED, "x")), False),
        (asyncpg.UniqueViolationError("x"), False),
        (asyncpg.InterfaceError("another operation is in progress"), False),
        (ValueError("x"), False),
        (None, False),
    ],
)
def test_what_counts_as_the_database_being_away(error, away):
    assert is_database_away(error) is away


async def test_a_database_that_is_not_open_says_so(settings):
    with pytest.raises(DatabaseUnavailableError):
        async with Database(replace(settings, database_url="postgresql://a@b/c")).session():
            pass


def test_the_three_addresses_of_a_server_of_ones_own(settings):
    own = replace(settings, database_url="postgresql://app@h/d")
    assert {Database(own).dsn(each) for each in ("app", "owner", "listen")} == {"postgresql://app@h/d"}
    own = replace(own, migration_database_url="postgresql://o@h/d", listen_database_url="postgresql://l@h/d")
    assert [Database(own).dsn(each) for each in ("app", "owner", "listen")] == [
        "postgresql://app@h/d",
        "postgresql://o@h/d",
        "postgresql://l@h/d",
    ]


async def test_the_server_is_checked(database, monkeypatch):
    server, pgvector = await database.check_server()
    assert server[:2].isdigit()
    assert pgvector.count(".") == 2
    monkeypatch.setattr("app.database.MINIMUM_PGVECTOR", (99, 0, 0))
    with pytest.raises(ConfigurationError, match="pgvector"):
        await database.check_server()
    monkeypatch.setattr("app.database.MINIMUM_SERVER", 990_000)
    with pytest.raises(ConfigurationError, match="too old"):
        await database.check_server()
