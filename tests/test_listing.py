"""Lists by one convention: any order, filters that bind the cursor, nothing twice and nothing missed."""

from __future__ import annotations

import base64
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from litestar import Litestar, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from sqlalchemy import (
    BigInteger,
    DateTime,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.database import create_engine
from app.exceptions import InvalidError
from app.listing import (
    CreatedAfter,
    CreatedBefore,
    Listing,
    Search,
    Sort,
    Total,
    any_of,
    matching,
    within,
)
from app.main import create_app
from app.openapi import documented
from app.pagination import Cursor, Limit, Page, Position, after, decode_cursor, encode_cursor, page
from app.requests import wrap_in_context


class Colour(StrEnum):
    red = "red"
    green = "green"


class TestBase(DeclarativeBase):
    """Apart from the app's, whose tables the migrations make."""

    __test__ = False


class Thing(TestBase):
    __tablename__ = "listed_thing"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    rank: Mapped[int] = mapped_column(Integer)
    weight: Mapped[Decimal | None] = mapped_column(Numeric)
    colour: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))


THINGS = Listing(
    Thing,  # type: ignore[type-var]  # of another base
    sorts={
        "created_at": Thing.created_at,
        "name": Thing.name,
        "folded": func.lower(Thing.name),
        "rank": Thing.rank,
        "weight": Thing.weight,
        "colour": Thing.colour,
    },
    default="-created_at",
    never_null=["folded"],
)
SORTS = THINGS.sort_names


class ThingView(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    colour: str | None


Colours = Annotated[
    list[Colour] | None, QueryParameter(name="colour", description="Things of these colours.")
]
Run = Annotated[str, QueryParameter(name="run", max_length=100, description="Things of this test.")]


@get("/test/things", operation_id="list_things", tags=["health"], opt=documented(listing=THINGS))
async def list_things(
    *,
    session: NamedDependency[AsyncSession],
    run: Run,
    colours: Colours = None,
    text_: Search = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    sort: Sort = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    total: Total = False,
) -> Page[ThingView]:
    """List things."""
    statement = select(Thing).where(
        Thing.run == run,
        any_of(Thing.colour, colours),
        matching(text_, Thing.name),
        within(Thing.created_at, created_after, created_before),
    )
    found = await THINGS.fetch(
        session,
        statement,
        sort=sort,
        cursor=cursor,
        limit=limit,
        total=total,
        filters={"run": run, "colour": colours, "q": text_, "from": created_after, "to": created_before},
    )
    return found.page(lambda row: ThingView(id=row.id, name=row.name, colour=row.colour))


@pytest.fixture(scope="module")
async def store(settings, database, rag) -> AsyncIterator[Litestar]:
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.run_sync(TestBase.metadata.create_all)
    app = create_app(settings, database=database, rag=rag)
    app.register(list_things)
    wrap_in_context(app)
    yield app
    async with owner.begin() as connection:
        await connection.run_sync(TestBase.metadata.drop_all)
    await owner.dispose()


@pytest.fixture
async def client(store, keys) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=store),
        base_url="http://tridesk.test",
        headers={"Authorization": f"Bearer {keys['agent']}"},
    ) as client:
        yield client


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def thing(run: str, **values: object) -> dict[str, object]:
    defaults = {"name": "Thing", "rank": 0, "weight": None, "colour": None, "created_at": BEGIN}
    return {"id": uuid4(), "run": run} | defaults | values


async def put(database, *rows: dict[str, object]) -> None:
    async with database.session() as session:
        if rows:
            await session.execute(insert(Thing), list(rows))


async def walk(client, run: str, *, limit: int = 3, **query: object) -> list[str]:
    """Ids of all pages, in order."""
    seen, cursor = [], None
    while True:
        asked = {"run": run, "limit": limit, **query} | ({"cursor": cursor} if cursor else {})
        response = await client.get("/test/things", params=asked)
        assert response.status_code == 200, response.text
        body = response.json()
        assert len(body["items"]) == limit or body["next_cursor"] is None
        seen += [each["id"] for each in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            return seen


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.text(
                st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=5
            ),
            "rank": st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1]),
            "weight": st.none() | st.decimals("-9", "9", places=1),
            "colour": st.none() | st.sampled_from(["red", "green", ""]),
            "created_at": st.integers(0, 3).map(lambda micro: BEGIN + timedelta(microseconds=micro)),
        }
    ),
    max_size=12,
)
SETTINGS = example_settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


def ordered(rows: list[dict], sort: str) -> list[str]:
    """Ids in the order that the convention says, by Python: C collation is the order of code points."""
    name = sort.removeprefix("-")

    def key(row: dict) -> object:
        return row["name"].lower() if name == "folded" else row[name]

    valued = [row for row in rows if key(row) is not None]
    nothing = [row for row in rows if key(row) is None]
    down = sort.startswith("-")
    valued.sort(key=lambda row: (key(row), row["id"].bytes), reverse=down)
    nothing.sort(key=lambda row: row["id"].bytes, reverse=down)
    return [str(row["id"]) for row in valued + nothing]


@SETTINGS
@given(
    rows=ROWS, sort=st.sampled_from([each for each in SORTS if "folded" not in each]), limit=st.integers(1, 5)
)
async def test_pages_in_any_order_give_every_row_once_in_that_order(client, database, rows, sort, limit):
    run = str(uuid4())
    made = [thing(run, **row) for row in rows]
    await put(database, *made)
    assert await walk(client, run, sort=sort, limit=limit) == ordered(made, sort)


@SETTINGS
@given(
    rows=ROWS,
    query=st.fixed_dictionaries({"sort": st.sampled_from(SORTS), "limit": st.integers(1, 4)}),
    chance=st.randoms(use_true_random=False),
)
async def test_rows_that_come_and_go_hide_none_that_stays(client, database, rows, query, chance):
    run = str(uuid4())
    made = [thing(run, **row) for row in rows]
    await put(database, *made)
    goes = {row["id"] for row in made if chance.random() < 0.4}
    seen, cursor = [], None
    for _ in itertools.count():
        asked = {"run": run, **query} | ({"cursor": cursor} if cursor else {})
        body = (await client.get("/test/things", params=asked)).json()
        seen += [each["id"] for each in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
        async with database.session() as session:  # also the very row that the cursor names
            await session.execute(delete(Thing).where(Thing.id.in_(goes)))
        if rows and len(seen) < 40:
            await put(database, thing(run, **chance.choice(rows)))
    assert len(seen) == len(set(seen))
    assert {str(row["id"]) for row in made if row["id"] not in goes} <= set(seen)


@pytest.mark.parametrize(("sort", "order"), [("weight", [1, 2, None, None]), ("-weight", [2, 1, None, None])])
async def test_what_has_no_value_comes_last_on_pages_of_its_own(client, database, unique, sort, order):
    made = [thing(unique, weight=weight) for weight in (None, 2, None, 1)]
    await put(database, *made)
    weights = {str(row["id"]): row["weight"] for row in made}
    assert [weights[each] for each in await walk(client, unique, sort=sort, limit=1)] == order


async def test_the_default_order_is_the_listings(client, database, unique):
    made = [thing(unique, created_at=BEGIN + timedelta(days=day)) for day in range(5)]
    await put(database, *made)
    assert await walk(client, unique) == [str(row["id"]) for row in reversed(made)]


async def test_an_unknown_sort_names_the_allowed_ones(client):
    response = await client.get("/test/things", params={"run": "x", "sort": "--rank"})
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["field"] == "sort"
    assert all(name in error["message"] for name in SORTS)


@pytest.mark.parametrize(
    "other",
    [
        {"sort": "rank"},
        {"sort": "-name"},
        {"colour": ["red"]},
        {"q": "thing"},
        {"created_after": "2025-01-01T00:00:00Z"},
    ],
)
async def test_a_cursor_is_refused_under_another_question(client, database, unique, other):
    await put(database, *(thing(unique, colour="red") for _ in range(3)))
    asked = {"run": unique, "sort": "name", "limit": 1}
    cursor = (await client.get("/test/things", params=asked)).json()["next_cursor"]
    assert (
        await client.get("/test/things", params=asked | {"cursor": cursor, "limit": 2})
    ).status_code == 200
    response = await client.get("/test/things", params=asked | {"cursor": cursor} | other)
    assert response.status_code == 400
    assert [each["field"] for each in response.json()["errors"]] == ["cursor"]


class Other(TestBase):
    """Of the same columns, so that only its name tells its cursors from those of things."""

    __tablename__ = "listed_other"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))


OTHERS = Listing(Other, sorts={"created_at": Other.created_at}, default="-created_at")  # type: ignore[type-var]  # of another base


async def test_a_cursor_of_another_list_is_refused(store, database, unique):
    await put(database, *(thing(unique) for _ in range(2)))
    statement = select(Thing).where(Thing.run == unique)
    async with database.session() as session:
        cursor = (await THINGS.fetch(session, statement, limit=1)).next_cursor
        assert (await THINGS.fetch(session, statement, limit=1, cursor=cursor)).rows
        with pytest.raises(InvalidError):
            await OTHERS.fetch(session, select(Other), limit=1, cursor=cursor)


def test_a_list_without_filters_refuses_the_cursor_of_one_that_has_them():
    cursor = encode_cursor(Position(BEGIN, uuid4(), "of another"))
    with pytest.raises(InvalidError):
        after(select(Thing), key=Thing.created_at, id=Thing.id, cursor=cursor, limit=1)


async def test_a_cursor_is_good_whatever_the_order_of_a_filters_values(client, database, unique):
    await put(database, *(thing(unique, colour="red") for _ in range(3)))
    asked = [("run", unique), ("limit", "1"), ("colour", "red"), ("colour", "green")]
    cursor = (await client.get("/test/things", params=asked)).json()["next_cursor"]
    response = await client.get("/test/things", params=[*asked[:2], *asked[:1:-1], ("cursor", cursor)])
    assert response.status_code == 200, response.text


def forged(key: object, identity: object = str(UUID(int=1)), scope: str | None = None) -> str:
    """A cursor that no list gave out; ``scope`` is taken from one that was."""
    raw = msgspec.json.encode([key, identity, scope] if scope is not None else [key, identity])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("rank", 2**31),
        ("rank", -(2**63)),
        ("rank", 10**30),
        ("rank", "1"),
        ("rank", 1.5),
        ("rank", None),
        ("rank", True),
        ("name", "a\0b"),
        ("name", 1),
        ("name", ["a"]),
        ("created_at", "2026-01-01T00:00:00"),
        ("created_at", "0001-01-01T00:00:00+14:00"),
        ("created_at", "9999-12-31T23:59:59-14:00"),
        ("created_at", "soon"),
        ("weight", "heavy"),
    ],
)
async def test_a_key_that_no_column_could_hold_is_an_unknown_cursor(client, database, unique, sort, key):
    await put(database, thing(unique), thing(unique))
    asked = {"run": unique, "sort": sort, "limit": 1}
    cursor = (await client.get("/test/things", params=asked)).json()["next_cursor"]
    scope = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=="))[2]
    for identity in (str(UUID(int=1)), "x", None, 7):
        response = await client.get("/test/things", params=asked | {"cursor": forged(key, identity, scope)})
        assert response.status_code == 400, response.text
        assert [each["field"] for each in response.json()["errors"]] == ["cursor"]


@given(
    cursor=st.text(max_size=60)
    | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)
def test_any_text_is_a_position_or_an_invalid_cursor(cursor):
    errors = [{"field": "cursor"}]
    try:
        decode_cursor(cursor)
    except InvalidError as error:
        errors = error.extra["errors"]
    assert [each["field"] for each in errors] == ["cursor"]


@given(
    position=st.builds(
        Position,
        st.datetimes(timezones=st.just(UTC)),
        st.uuids(),
        st.text("0123456789abcdef", max_size=18),
    )
)
def test_a_position_survives_its_cursor(position):
    assert decode_cursor(encode_cursor(position)) == position


@pytest.mark.parametrize(("column", "bits"), [(SmallInteger(), 16), (Integer(), 32), (BigInteger(), 64)])
def test_integers_fit_their_columns(column, bits):
    for number in (2 ** (bits - 1) - 1, -(2 ** (bits - 1))):
        cursor = encode_cursor(Position(number, number))
        assert decode_cursor(cursor, key=column, identity=column) == Position(number, number)
    for number in (2 ** (bits - 1), -(2 ** (bits - 1)) - 1):
        with pytest.raises(InvalidError):
            decode_cursor(encode_cursor(Position(number, 1)), key=column, identity=column)


class TestFilters:
    async def names(self, client, run: str, *pairs: tuple[str, str]) -> set[str]:
        response = await client.get("/test/things", params=[("run", run), *pairs])
        assert response.status_code == 200, response.text
        return {each["name"] for each in response.json()["items"]}

    @pytest.fixture
    async def run(self, database, unique) -> str:
        rows = [("Ada", "red", 1), ("Bob_%", "green", 2), ("Čapek", None, 3)]
        await put(
            database,
            *(
                thing(unique, name=name, colour=colour, created_at=BEGIN + timedelta(days=day))
                for name, colour, day in rows
            ),
        )
        return unique

    async def test_a_repeated_filter_means_any_of_its_values(self, client, run):
        assert await self.names(client, run, ("colour", "red")) == {"Ada"}
        assert await self.names(client, run, ("colour", "red"), ("colour", "green")) == {"Ada", "Bob_%"}

    async def test_different_filters_mean_all_of_them(self, client, run):
        assert await self.names(client, run, ("colour", "red"), ("q", "bob")) == set()

    async def test_an_unknown_value_is_refused_by_its_name(self, client, run):
        response = await client.get("/test/things", params=[("run", run), ("colour", "blue")])
        assert response.status_code == 400
        assert "blue" not in response.text

    @pytest.mark.parametrize(("wanted", "found"), [("AD", {"Ada"}), ("_%", {"Bob_%"}), ("čap", {"Čapek"})])
    async def test_a_search_takes_any_case_and_no_wildcards(self, client, run, wanted, found):
        assert await self.names(client, run, ("q", wanted)) == found

    async def test_ranges_of_time_follow_on_without_gap_or_overlap(self, client, run):
        edges = [(BEGIN + timedelta(days=day)).isoformat() for day in range(1, 5)]
        each = [
            await self.names(client, run, ("created_after", since), ("created_before", until))
            for since, until in itertools.pairwise(edges)
        ]
        assert each == [{"Ada"}, {"Bob_%"}, {"Čapek"}]

    @pytest.mark.parametrize("field", ["created_after", "created_before"])
    @pytest.mark.parametrize("moment", ["2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "yesterday"])
    async def test_a_time_without_a_zone_or_a_calendar_is_refused_by_its_name(self, client, field, moment):
        response = await client.get("/test/things", params={"run": "x", field: moment})
        assert response.status_code == 400, response.text
        assert [each["field"] for each in response.json()["errors"]] == [field]

    async def test_the_total_is_counted_when_asked_for(self, client, run):
        for query, total in [({}, None), ({"total": "true"}, 3), ({"total": "true", "colour": "red"}, 1)]:
            body = (await client.get("/test/things", params={"run": run, "limit": 1, **query})).json()
            assert body["total"] == total


async def test_lists_with_one_order_need_no_listing(database, store, unique):
    """``after`` and ``page``, by a key that is a number."""
    await put(database, *(thing(unique, rank=rank) for rank in (3, 1, 2, 2)))
    seen, cursor = [], None
    async with database.session() as session:
        while True:
            statement = select(Thing).where(Thing.run == unique)
            rows = (
                await session.scalars(after(statement, key=Thing.rank, id=Thing.id, cursor=cursor, limit=1))
            ).all()
            part = page(
                rows, limit=1, show=lambda row: row.rank, position=lambda row: Position(row.rank, row.id)
            )
            seen += part.items
            if (cursor := part.next_cursor) is None:
                break
    assert seen == [3, 2, 2, 1]


def test_a_default_that_is_no_sort_is_a_mistake_at_start():
    with pytest.raises(InvalidError):
        Listing(Thing, sorts={"name": Thing.name}, default="-rank")  # type: ignore[type-var]  # as above


def test_the_document_names_the_keys(store):
    operation = store.openapi_schema.to_schema()["paths"]["/test/things"]["get"]
    (sort,) = [each for each in operation["parameters"] if each.get("name") == "sort"]
    assert sort["schema"]["pattern"] == "^-?(created_at|name|folded|rank|weight|colour)$"
    assert "`weight`" in sort["description"]


def test_an_index_serves_a_page_of_what_is_never_null():
    """Ordering adds no NULLS LAST where there are no nulls, which an index could not follow."""
    assert "NULLS" not in str(THINGS._ordered(select(Thing), "rank", descending=True))
    assert "NULLS LAST" in str(THINGS._ordered(select(Thing), "weight", descending=True))
