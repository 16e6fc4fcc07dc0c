"""Many operations in one request: each succeeds or fails by itself, and a fault of ours undoes them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulk import Bulk, BulkResult, run_bulk
from app.database import create_engine
from app.exceptions import DatabaseUnavailableError, NotFoundError, TrideskError
from app.main import create_app
from app.requests import wrap_in_context


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    then: str = ""


async def add(session: AsyncSession, entry: Entry) -> Entry:
    """What the single operation would do: write first, then find out."""
    await session.execute(text("insert into bulk_entry (name) values (:name)"), {"name": entry.name})
    match entry.then:
        case "missing":
            raise NotFoundError("No such thing.")
        case "broken":
            raise TrideskError("Something went wrong on our side.")
        case "unforeseen":
            raise RuntimeError("a mistake")
        case "gone":
            raise DatabaseUnavailableError("gone")
        case "killed":
            await session.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        case "unfit":
            await session.execute(text("select cast(:value as int)"), {"value": 2**40})
    return entry


@post("/test/entries/bulk", operation_id="add_entries", status_code=200, tags=["health"])
async def add_entries(
    data: JSONBody[Bulk[Entry]], session: NamedDependency[AsyncSession]
) -> BulkResult[Entry]:
    """Add entries."""
    return await run_bulk(session, data.items, lambda entry: add(session, entry), status=201)


Names = Callable[[str], Awaitable[list[str]]]


@pytest.fixture(scope="module")
async def book(settings, database, rag) -> AsyncIterator[Litestar]:
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.execute(text("create table bulk_entry (name text primary key)"))
    app = create_app(settings, database=database, rag=rag)
    app.register(add_entries)
    wrap_in_context(app)
    yield app
    async with owner.begin() as connection:
        await connection.execute(text("drop table bulk_entry"))
    await owner.dispose()


@pytest.fixture
async def client(book, keys) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=book),
        base_url="http://tridesk.test",
        headers={"Authorization": f"Bearer {keys['agent']}"},
    ) as client:
        yield client


@pytest.fixture
def names(database) -> Names:
    """The names that are really there, of those that begin so."""

    async def read(prefix: str) -> list[str]:
        async with database.session() as session:
            found = await session.scalars(
                text("select name from bulk_entry where starts_with(name, :prefix) order by 1"),
                {"prefix": prefix},
            )
            return list(found)

    return read


async def send(client, *items: tuple[str, str], **headers: str) -> httpx.Response:
    body = {"items": [{"name": name, "then": then} for name, then in items]}
    return await client.post("/test/entries/bulk", json=body, headers=headers)


async def test_each_item_has_its_own_result_and_a_failed_one_undoes_itself_alone(client, names, unique):
    a, b, c = (f"{unique}/{letter}" for letter in "abc")
    response = await send(client, (a, ""), (b, "missing"), (a, ""), (c, ""))
    assert response.status_code == 200
    body = response.json()
    assert (body["succeeded"], body["failed"]) == (2, 2)
    assert [(each["index"], each["status"]) for each in body["items"]] == [
        (0, 201),
        (1, 404),
        (2, 409),
        (3, 201),
    ]
    assert body["items"][0]["result"] == {"name": a, "then": ""}
    assert body["items"][0]["problem"] is None
    assert body["items"][1]["result"] is None
    assert body["items"][1]["problem"]["code"] == "not_found"
    assert body["items"][1]["problem"]["request_id"] == response.headers["x-request-id"]
    assert "bulk_entry" not in response.text
    assert await names(unique) == [a, c]


@pytest.mark.parametrize(
    ("then", "status"), [("broken", 500), ("unforeseen", 500), ("gone", 503), ("killed", 503)]
)
async def test_a_fault_of_ours_ends_the_request_and_nothing_is_kept(client, names, unique, then, status):
    response = await send(client, (f"{unique}/a", ""), (f"{unique}/b", then), (f"{unique}/c", ""))
    assert response.status_code == status
    assert "items" not in response.json()
    assert await names(unique) == []


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([], "items"),
        ([{"name": "a"}] * 101, "items"),
        ([{"name": "a"}, {"name": 5}], "items[1].name"),
        ([{"name": "a"}, {"name": "b", "colour": 1}], "items[1].colour"),
    ],
)
async def test_a_request_that_does_not_fit_does_nothing(client, names, items, field):
    response = await client.post("/test/entries/bulk", json={"items": items})
    assert response.status_code == 400
    assert [each["field"] for each in response.json()["errors"]] == [field]
    assert await names("a") == []


async def test_a_hundred_items_fit(client, names, unique):
    response = await send(client, *((f"{unique}/{number:03}", "") for number in range(100)))
    assert response.json()["succeeded"] == 100
    assert len(await names(unique)) == 100


async def test_a_repeated_request_with_its_key_gives_the_same_results(client, names, unique):
    headers = {"Idempotency-Key": unique}
    first, again = [await send(client, (unique, ""), (unique, ""), **headers) for _ in range(2)]
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert first.json()["succeeded"] == 1


async def test_two_requests_that_wait_for_each_other_both_end(client, names, unique):
    """In opposite orders: where Postgres must give one up, that one is told to try again, and succeeds."""
    forth = [(f"{unique}/{number:02}", "") for number in range(40)]
    orders = [forth, forth[::-1]]

    async def until_done(items):
        while (response := await send(client, *items)).status_code == 503:
            assert response.headers["retry-after"] == "1"
        return response

    responses = await asyncio.gather(*(until_done(order) for order in orders))
    assert {each.status_code for each in responses} == {200}
    assert sum(each.json()["succeeded"] for each in responses) == 40
    assert len(await names(unique)) == 40


@example_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(items=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "", "missing"])), max_size=9))
async def test_it_does_what_the_single_operations_would_do_one_after_the_other(client, names, unique, items):
    run = f"{unique}/{next(RUNS)}/"
    response = await send(client, *((run + name, then) for name, then in items), ("z", "missing"))
    kept: set[str] = set()
    statuses = []
    for name, then in items:
        statuses.append(409 if name in kept else 404 if then else 201)
        kept |= {name} if statuses[-1] == 201 else set()
    assert [each["status"] for each in response.json()["items"]] == [*statuses, 404]
    assert await names(run) == sorted(run + name for name in kept)


RUNS = iter(range(10**6))


def test_the_document_names_results_as_a_client_author_would(book):
    document = book.openapi_schema.to_schema()
    operation = document["paths"]["/test/entries/bulk"]["post"]
    schemas = document["components"]["schemas"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/EntryBulkResult"
    }
    assert schemas["EntryBulkResult"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/EntryBulkItem"
    }
    assert schemas["EntryBulk"]["properties"]["items"]["maxItems"] == 100
    assert schemas["EntryBulk"]["additionalProperties"] is False
