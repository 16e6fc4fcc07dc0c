"""The real app with a few routes to guard, and the host app that signs tokens for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from litestar import Litestar, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from sqlalchemy import event

from app.config import Settings
from app.idempotency.dependencies import provide_keyed_request, provide_session
from app.identity import (
    AuthenticationMiddleware,
    Principal,
    Role,
    provide_principal,
    require,
    service,
)
from app.identity.controllers import router
from app.identity.tokens import TokenVerifier
from app.main import create_app
from app.preconditions import provide_expected
from app.problems import EXCEPTION_HANDLERS

SECRET = "a secret of the host app, long enough for HS256"


@get("/open", opt={"public": True})
async def open_route() -> dict[str, bool]:
    return {"open": True}


@get("/open-but-asks", opt={"public": True})
async def careless_route(principal: NamedDependency[Principal]) -> dict[str, str]:
    return {"name": principal.name}


@get("/for-leads", guards=[require(Role.lead)])
async def lead_route(principal: NamedDependency[Principal]) -> dict[str, str]:
    return {"name": principal.name}


def build_app(database: Any, settings: Settings, *, tokens: TokenVerifier | None = None) -> Litestar:
    """The real app, or with a verifier of the test's own a small one around the identity room."""
    routes = [open_route, careless_route, lead_route]
    if tokens is None:
        app = create_app(settings, database=database)
        for route in routes:
            app.register(route)
        return app
    return Litestar(
        route_handlers=[router, *routes],
        middleware=[AuthenticationMiddleware(settings, tokens=tokens)],
        dependencies={
            "session": Provide(provide_session),
            "keyed": Provide(provide_keyed_request),
            "principal": Provide(provide_principal),
            "expected": Provide(provide_expected),
        },
        exception_handlers=EXCEPTION_HANDLERS,
        logging_config=None,
        state=State({"database": database}),
    )


@asynccontextmanager
async def client_of(app: Litestar, credential: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar's ASGI types are its own
    async with httpx.AsyncClient(transport=transport, base_url="http://tridesk", headers=headers) as client:
        yield client


@pytest.fixture(scope="session")
async def app(database) -> Litestar:
    return build_app(database, Settings(jwt_secret=SECRET, jwt_roles=("customer", "agent")))


@pytest.fixture(scope="session")
async def people(database) -> dict[Role, Any]:
    """One person of each role; the customer has an account."""
    async with database.session() as session:
        account = await service.upsert_account(session, f"account-{uuid4()}", "Acme")
        return {
            role: await service.upsert_person(
                session,
                f"{role}-{uuid4()}",
                name=f"The {role}",
                role=role,
                account_id=account.id if role == Role.customer else None,
            )
            for role in Role
        }


@pytest.fixture(scope="session")
async def clients(app, database, people) -> AsyncIterator[dict[Role, httpx.AsyncClient]]:
    """A client with an API key of each role."""
    clients = {}
    async with database.session() as session:
        for role, person in people.items():
            _, text = await service.create_key(session, name=f"{role}'s", role=role, person_id=person.id)
            clients[role] = text
    transport = httpx.ASGITransport(app=app)
    made = {
        role: httpx.AsyncClient(
            transport=transport, base_url="http://tridesk", headers={"Authorization": f"Bearer {text}"}
        )
        for role, text in clients.items()
    }
    yield made
    for client in made.values():
        await client.aclose()


@pytest.fixture(scope="session")
def admin(clients) -> httpx.AsyncClient:
    return clients[Role.admin]


@pytest.fixture
async def anonymous(app) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture
def token() -> Callable[..., str]:
    """Sign claims as the host app does; ``None`` leaves a claim out."""

    def sign(key: Any = SECRET, *, algorithm: str = "HS256", headers: Any = None, **claims: Any) -> str:
        payload = {"sub": f"person-{uuid4()}", "exp": int(time.time()) + 300} | claims
        payload = {claim: value for claim, value in payload.items() if value is not None}
        payload = {claim: None if value == "null" else value for claim, value in payload.items()}
        return jwt.encode(payload, key, algorithm=algorithm, headers=headers)

    return sign


@pytest.fixture
def statements(database) -> Iterator[list[str]]:
    """The SQL statements executed so far; clear it to count from there."""
    executed: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        executed.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield executed
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}
