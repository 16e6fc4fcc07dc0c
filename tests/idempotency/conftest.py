"""The real app with a few routes beside its own, and a table in which their effects are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar, Request, Response, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import ServerSentEvent
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app import idempotency
from app.database import Database, create_engine
from app.exceptions import ConflictError, UnprocessableError
from app.identity import Role, require
from app.main import create_app
from app.openapi import documented
from app.requests import decode_form, wrap_in_context

KEY = "Idempotency-Key"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the test's routes take."""

    mark: str
    fail: bool = False


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What they give."""

    id: UUID
    mark: str
    version: int = 1


class MadeSecret(Made, frozen=True, kw_only=True):
    secret: str


class Form(msgspec.Struct, frozen=True, kw_only=True):
    mark: str
    file: Any


@dataclass
class Gate:
    """Holds handlers that ask for it between their effect and their end."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_through(self) -> None:
        self.reached.set()
        await self.opened.wait()


async def effect(session: AsyncSession, mark: str) -> UUID:
    made = await session.scalar(
        text("insert into idempotent_effect (mark) values (:mark) returning id"), {"mark": mark}
    )
    assert isinstance(made, UUID)
    return made


@post("/test/orders")
async def order(data: JSONBody[Order], session: NamedDependency[AsyncSession]) -> Response[Made]:
    made = await effect(session, data.mark)
    if data.fail:
        raise UnprocessableError("It cannot be done.")
    return Response(
        Made(id=made, mark=data.mark), headers={"Location": f"/test/orders/{made}", "X-Once": "1"}
    )


@post("/test/shops/{shop_id:uuid}/orders", guards=[require(Role.agent)])
async def order_there(
    shop_id: FromPath[UUID], data: JSONBody[Order], session: NamedDependency[AsyncSession]
) -> Made:
    return Made(id=await effect(session, data.mark), mark=data.mark)


@post("/test/payments", opt=documented(idempotency_required=True))
async def pay(data: JSONBody[Order], session: NamedDependency[AsyncSession]) -> Made:
    return Made(id=await effect(session, data.mark), mark=data.mark)


@post("/test/secrets", opt=documented(returns_secret=True))
async def make_secret(data: JSONBody[Order], session: NamedDependency[AsyncSession]) -> MadeSecret:
    return MadeSecret(id=await effect(session, data.mark), mark=data.mark, secret="hush-hush-hush")


@post("/test/uploads", opt=documented(bodies={"multipart/form-data": Form}))
async def upload(
    request: Request[Any, Any, Any], session: NamedDependency[AsyncSession]
) -> dict[str, int | str]:
    form = await decode_form(request, Form)
    content = await form.file.read()
    return {"id": str(await effect(session, form.mark)), "size": len(content)}


@post("/test/nothing", status_code=204)
async def nothing(data: JSONBody[Order], session: NamedDependency[AsyncSession]) -> None:
    await effect(session, data.mark)


@post("/test/streams")
async def stream(data: JSONBody[Order], session: NamedDependency[AsyncSession]) -> ServerSentEvent:
    await effect(session, data.mark)
    return ServerSentEvent(iter(["done"]))


@post("/test/slow")
async def slow(
    data: JSONBody[Order], session: NamedDependency[AsyncSession], request: Request[Any, Any, Any]
) -> Made:
    made = await effect(session, data.mark)
    await request.app.state.gate.pass_through()
    return Made(id=made, mark=data.mark)


@post("/test/refunds")
async def refund(
    data: JSONBody[Order],
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    keyed: NamedDependency[idempotency.KeyedRequest | None],
) -> Response[Made]:
    """Two transactions around a provider's call, which fails when the order says so."""
    async with database.session() as session:
        await idempotency.begin(session, keyed)
        made = Made(id=await effect(session, data.mark), mark=data.mark)
        await idempotency.store(session, keyed, status=202, content=made)
    if data.fail:
        raise ConflictError("The provider did not answer.")
    settled = Made(id=made.id, mark=data.mark, version=2)
    async with database.session() as session:
        await idempotency.store(session, keyed, status=201, content=settled)
    return Response(settled, status_code=201)


@post("/test/answers", status_code=200)
async def answer(
    data: JSONBody[Order],
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    keyed: NamedDependency[idempotency.KeyedRequest | None],
) -> Made:
    """Costly first, then one transaction: ``asked`` counts what was paid for."""
    async with idempotency.reserve(database, keyed) as reservation:
        request.app.state.asked.append(data.mark)
        await request.app.state.gate.pass_through()
        if data.fail:
            raise UnprocessableError("It cannot be done.")
        async with database.session() as session:
            made = Made(id=await effect(session, data.mark), mark=data.mark)
            await reservation.store(session, status=200, content=made)
        return made


@patch("/test/orders")
async def change(data: JSONBody[Order], session: NamedDependency[AsyncSession]) -> Made:
    return Made(id=await effect(session, data.mark), mark=data.mark)


ROUTES = [order, order_there, pay, make_secret, upload, nothing, stream, slow, refund, answer, change]


@pytest.fixture(scope="package")
async def effects(database: Database) -> AsyncIterator[Callable[[str], Any]]:
    """``await effects(mark)`` counts what was really done."""
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.execute(
            text("create table idempotent_effect (id uuid default uuidv7() primary key, mark text not null)")
        )

    async def count(mark: str) -> int:
        async with database.session() as session:
            found = await session.scalar(
                text("select count(*) from idempotent_effect where mark = :mark"), {"mark": mark}
            )
            return int(found or 0)

    yield count
    async with owner.begin() as connection:
        await connection.execute(text("drop table idempotent_effect"))
    await owner.dispose()


@pytest.fixture(scope="package")
async def shop(settings, database, rag, effects) -> Litestar:
    """The real app with the test's routes."""
    app = create_app(settings, database=database, rag=rag)
    for route in ROUTES:
        app.register(route)
    wrap_in_context(app)
    return app


@pytest.fixture(autouse=True)
def gate(shop) -> Gate:
    """The gate of this test, open unless it closes it; what ``/test/answers`` was asked is forgotten."""
    shop.state.gate = gate = Gate()
    shop.state.asked = []
    gate.opened.set()
    return gate


@pytest.fixture
def open_shop(shop, keys) -> Callable[..., httpx.AsyncClient]:
    """``open_shop("agent")`` is a client with that role's key, or with a credential of the test's own."""

    def make(role: str = "agent", credential: str | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=shop),
            base_url="http://tridesk.test",
            headers={"Authorization": f"Bearer {credential or keys[role]}"},
        )

    return make


@pytest.fixture
async def agent(open_shop) -> AsyncIterator[httpx.AsyncClient]:
    async with open_shop("agent") as client:
        yield client


@pytest.fixture
def mark() -> str:
    """What this test's effects are counted by."""
    return str(uuid4())


def keyed(value: str | None = None) -> dict[str, str]:
    """Headers with a key."""
    return {KEY: value or str(uuid4())}
