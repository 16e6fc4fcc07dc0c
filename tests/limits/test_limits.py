"""Rate limits: as many requests as the setting says, however many processes count them."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.identity import Role, service
from app.limits import Verdict, purge_idle, take
from app.main import create_app
from tests.live import serve

ROOT = Path(__file__).parent.parent.parent
ME = "/v1/identity/me"
AppOf = Callable[[int], Litestar]


@pytest.fixture
def app_of(settings: Settings, database: Database, rag: Any) -> AppOf:
    """``app_of(5)`` is an app that lets a caller make 5 requests a minute."""

    def make(per_minute: int) -> Litestar:
        own = replace(settings, rate_limit_per_minute=per_minute)
        return create_app(own, database=database, rag=rag)

    return make


@pytest.fixture
async def key(database: Database) -> str:
    return await new_key(database)


async def new_key(database: Database, *, person_id: Any = None) -> str:
    async with database.session() as session:
        _, secret = await service.create_key(session, name="limited", role=Role.agent, person_id=person_id)
    return secret


def client_of(app: Litestar, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]  # litestar's own ASGI types
        base_url="http://tridesk.test",
        headers={"Authorization": f"Bearer {key}"},
    )


async def move_clock(database: Database, key: str, *, seconds: float) -> None:
    """As if so much time had passed since the caller's last request."""
    async with database.session() as session:
        match = await service.authenticate_key(session, key)
        identity = match.principal.person_id or match.principal.key_id
        await session.execute(
            text(
                "update rate_limit set full_at = full_at - make_interval(secs => :seconds)"
                " where principal_id = :id"
            ),
            {"seconds": seconds, "id": identity},
        )


def numbers(response: httpx.Response) -> tuple[int, int, int]:
    """Limit, remaining, reset."""
    limit, remaining, reset = (
        response.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")
    )
    return int(limit), int(remaining), int(reset)


async def test_a_minutes_worth_passes_and_the_next_one_is_told_when_to_come_back(app_of, key):
    async with client_of(app_of(5), key) as client:
        passed = [await client.get(ME) for _ in range(5)]
        refused = await client.get(ME)
    assert [each.status_code for each in passed] == [200] * 5
    assert [numbers(each) for each in passed] == [
        (5, 4, 12), (5, 3, 24), (5, 2, 36), (5, 1, 48), (5, 0, 60)
    ]  # fmt: skip
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert numbers(refused) == (5, 0, 60)
    assert refused.headers["Retry-After"] == "12"
    assert "Retry-After" not in passed[-1].headers


async def test_a_refused_request_costs_nothing_and_a_fifth_of_a_minute_gives_one_back(app_of, key, database):
    async with client_of(app_of(5), key) as client:
        for _ in range(5):
            await client.get(ME)
        assert [(await client.get(ME)).status_code for _ in range(3)] == [429] * 3
        await move_clock(database, key, seconds=12)
        assert [(await client.get(ME)).status_code for _ in range(2)] == [200, 429]
        await move_clock(database, key, seconds=3600)
        assert [(await client.get(ME)).status_code for _ in range(6)] == [200] * 5 + [429]


async def test_callers_are_counted_by_person_whatever_keys_they_use(app_of, database):
    async with database.session() as session:
        person = await service.upsert_person(session, f"limited-{uuid4()}", role=Role.agent)
    mine = [await new_key(database, person_id=person.id) for _ in range(2)]
    app = app_of(3)
    statuses = []
    for each in (mine[0], mine[1], mine[0], mine[1], await new_key(database)):
        async with client_of(app, each) as client:
            statuses.append((await client.get(ME)).status_code)
    assert statuses == [200, 200, 200, 429, 200]


async def test_errors_streams_and_missing_things_have_the_headers_too(app_of, key):
    async with client_of(app_of(5), key) as client:
        missing = await client.get(f"/v1/rag/answers/{uuid4()}")
        invalid = await client.get("/v1/rag/documents", params={"limit": 0})
        body = {"question": "What is there?", "collections": [str(uuid4())]}
        stream = await client.post("/v1/rag/answers", json=body, headers={"Accept": "text/event-stream"})
    assert [each.status_code for each in (missing, invalid, stream)] == [404, 400, 200]
    assert [numbers(each)[1] for each in (missing, invalid, stream)] == [4, 3, 2]


async def test_a_stream_that_is_refused_is_refused_before_it_begins(app_of, key):
    async with client_of(app_of(1), key) as client:
        await client.get(ME)
        body = {"question": "What is there?"}
        stream = await client.post("/v1/rag/answers", json=body, headers={"Accept": "text/event-stream"})
    assert (stream.status_code, stream.headers["Content-Type"]) == (429, "application/problem+json")


async def test_a_refused_request_leaves_its_idempotency_key_to_the_retry(app_of, key, database, unique):
    headers = {"Idempotency-Key": str(uuid4())}
    async with client_of(app_of(1), key) as client:
        await client.get(ME)
        refused = await client.post("/v1/rag/collections", json={"name": unique}, headers=headers)
        await move_clock(database, key, seconds=60)
        made = await client.post("/v1/rag/collections", json={"name": unique}, headers=headers)
    assert (refused.status_code, made.status_code) == (429, 201)
    assert "Idempotency-Replayed" not in made.headers


async def test_public_routes_and_strangers_are_not_counted(app_of):
    async with client_of(app_of(1), "tdk_AAAAAAAA_" + "a" * 43) as client:
        answers = [await client.get("/health/live") for _ in range(3)]
        strangers = [await client.get(ME) for _ in range(3)]
    assert [each.status_code for each in answers + strangers] == [200] * 3 + [401] * 3
    assert not any("RateLimit-Limit" in each.headers for each in answers + strangers)


async def test_zero_is_no_limit(app_of, key):
    async with client_of(app_of(0), key) as client:
        response = await client.get(ME)
    assert response.status_code == 200
    assert "RateLimit-Limit" not in response.headers


async def test_two_servers_on_one_database_count_one_and_the_same(settings, database, key):
    """40 requests to each of two real servers, all at once, and 30 may pass: not one more, not one less."""
    own = replace(settings, database_url=database.dsn(), rate_limit_per_minute=30)
    with serve(create_app(own)) as one, serve(create_app(own)) as other:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
            started = asyncio.get_running_loop().time()
            answers = await asyncio.gather(*(client.get(f"{url}{ME}") for url in (one, other) * 40))
            took = asyncio.get_running_loop().time() - started
    statuses = [each.status_code for each in answers]
    assert sorted(set(statuses)) == [200, 429]
    assert 30 <= statuses.count(200) <= 30 + math.ceil(took / 2)  # one more comes back every two seconds


async def counting(database: Database, identity: str, requests: int) -> int:
    """Another process that counts requests of a caller; how many passed."""
    script = (
        "import asyncio, sys, uuid; from app.config import Settings; from app.database import Database;"
        "from app.limits import take\n"
        "async def main():\n"
        "    database = Database(Settings(database_url=sys.argv[1])); database.open(); passed = 0\n"
        "    for _ in range(int(sys.argv[3])):\n"
        "        async with database.session() as session:\n"
        "            verdict = await take(session, uuid.UUID(sys.argv[2]), per_minute=60)\n"
        "        passed += verdict.retry_after is None\n"
        "    print(passed); await database.stop()\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", script, database.dsn(), identity, str(requests),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, _ = await process.communicate()
    return int(printed)


async def test_two_processes_at_once_lose_and_double_no_request(database):
    """60 pass at once, and one for each second that goes by."""
    identity = uuid4()
    started = asyncio.get_running_loop().time()
    passed = sum(await asyncio.gather(*(counting(database, str(identity), 80) for _ in range(2))))
    took = asyncio.get_running_loop().time() - started
    assert 60 <= passed <= 60 + took


async def test_idle_callers_leave_no_row_behind_and_busy_ones_keep_theirs(database):
    idle, busy = uuid4(), uuid4()
    async with database.session() as session:
        for each in (idle, busy):
            await take(session, each, per_minute=60)
        await session.execute(
            text("update rate_limit set full_at = now() - interval '1 second' where principal_id = :id"),
            {"id": idle},
        )
    assert await purge_idle(database) >= 1
    async with database.session() as session:
        kept = await session.scalars(
            text("select principal_id from rate_limit where principal_id = any(:ids)"), {"ids": [idle, busy]}
        )
        assert kept.all() == [busy]


async def test_counting_writes_no_log_and_so_waits_for_no_disk(database):
    async with database.session() as session:
        kind = await session.scalar(
            text("select relpersistence::text from pg_class where relname = 'rate_limit'")
        )
    assert kind == "u"


@pytest.mark.parametrize(
    ("seconds", "retry_after", "remaining"), [(1.0, None, 59), (60.0, None, 0), (60.0, 1, 0), (0.0, None, 60)]
)
def test_what_is_left_is_what_the_bucket_holds(seconds, retry_after, remaining):
    assert Verdict(limit=60, seconds=seconds, retry_after=retry_after).remaining == remaining
