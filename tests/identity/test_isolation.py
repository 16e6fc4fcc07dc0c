"""No customer reaches another account's data, whatever they send."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.identity import Role, service
from app.identity.models import Account, ApiKey, Person
from tests.identity.conftest import SECRET, client_of

IDENTITY = "/v1/identity"


@dataclass(frozen=True)
class Customer:
    person_id: UUID
    account_id: UUID
    marks: frozenset[str]  # what only they may see: ids and names of the person and the account
    clients: tuple[httpx.AsyncClient, ...]  # with a key, with a token


@pytest.fixture(scope="session")
async def customers(app, database) -> AsyncIterator[list[Customer]]:
    """Two people in each of two accounts."""
    made: list[Customer] = []
    async with AsyncExitStack() as stack:
        for _ in range(2):
            name = uuid4().hex
            async with database.session() as session:
                account = await service.upsert_account(session, f"a-{name}", name)
            for _ in range(2):
                subject = f"p-{uuid4()}"
                async with database.session() as session:
                    person = await service.upsert_person(
                        session, subject, name=uuid4().hex, account_id=account.id
                    )
                    _, key = await service.create_key(
                        session, name="k", role=Role.customer, person_id=person.id
                    )
                signed = jwt.encode({"sub": subject, "exp": time.time() + 3600}, SECRET, algorithm="HS256")
                marks = frozenset(
                    {str(person.id), person.name, subject, str(account.id), account.name, f"a-{name}"}
                )
                clients = [await stack.enter_async_context(client_of(app, each)) for each in (key, signed)]
                made.append(Customer(person.id, account.id, marks, tuple(clients)))
        yield made


METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE"])
SOMEBODY = st.integers(0, 3)
BODIES = st.sampled_from(
    [
        None,
        {"name": "stolen"},
        {"email": "x@example.com"},
        {"account_id": "{account}"},
        {"role": "admin"},
        {"active": False},
        {"name": "x", "external_id": "stolen", "account_id": "{account}"},
        {"name": "x", "role": "customer", "person_id": "{person}"},
    ]
)
PATHS = st.sampled_from(
    ["me", "accounts", "people", "keys", "accounts/{account}", "people/{person}", "people/{account}"]
)
QUERIES = st.sampled_from(
    [{}, {"account_id": "{account}"}, {"q": "e"}, {"limit": "100"}, {"role": "customer"}]
)


def filled(value: Any, target: Customer) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, target) for key, each in value.items()}
    if isinstance(value, str):
        return value.format(account=target.account_id, person=target.person_id)
    return value


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    caller=SOMEBODY,
    target=SOMEBODY,
    way=st.integers(0, 1),
    method=METHODS,
    path=PATHS,
    query=QUERIES,
    body=BODIES,
)
@example(caller=0, target=2, way=0, method="GET", path="accounts/{account}", query={}, body=None)
@example(caller=0, target=1, way=1, method="GET", path="people/{person}", query={}, body=None)
async def test_no_request_of_a_customer_reads_or_changes_what_is_not_theirs(
    customers, database, *, caller, target, way, method, path, query, body
):
    actor, victim = customers[caller], customers[target]
    before = await everything(database, customers)
    response = await actor.clients[way].request(
        method,
        f"{IDENTITY}/{filled(path, victim)}",
        params=filled(query, victim),
        json=filled(body, victim) if method != "GET" else None,
    )
    foreign = frozenset().union(*(other.marks for other in customers)) - actor.marks
    assert not [mark for mark in foreign if mark in response.text]
    assert response.status_code < 500
    assert await everything(database, customers) == before


async def everything(database, customers: list[Customer]) -> list[Any]:
    """All rows that a request could have made or changed, for these people."""
    accounts = [each.account_id for each in customers]
    statement = (
        select(Person.__table__, Account.name, func.count(ApiKey.id))
        .join(Account, Account.id == Person.account_id)
        .outerjoin(ApiKey, ApiKey.person_id == Person.id)
        .where(Person.account_id.in_(accounts))
        .group_by(Person.id, Account.id)
        .order_by(Person.id)
    )
    async with database.session() as session:
        return list((await session.execute(statement)).all())
