"""Effects in several transactions: around a call to somebody else, and after work that costs."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import idempotency
from app.exceptions import DatabaseUnavailableError
from app.idempotency.exceptions import KeyInFlightError
from app.idempotency.keyed import KeyedRequest, digest
from app.identity import Principal, PrincipalKind, Role
from tests.idempotency.conftest import KEY, effect, keyed

REPLAYED = "idempotency-replayed"


def code(response):
    return response.status_code, response.json().get("code")


def request_of(mark: str, *, body: bytes = b"") -> KeyedRequest:
    """A request that never was HTTP."""
    caller = Principal(
        kind=PrincipalKind.api_key, role=Role.agent, person_id=uuid4(), account_id=None, name="Ada"
    )
    return KeyedRequest(principal=caller, route="POST /test", key=mark, fingerprint=digest([body]))


async def replay_of(database, request: KeyedRequest) -> idempotency.Replay:
    """What the request is answered from now on."""
    async with database.session() as session:
        with pytest.raises(idempotency.Replay) as replay:
            await idempotency.begin(session, request)
    return replay.value


async def run_out(database, mark: str) -> None:
    async with database.session() as session:
        await session.execute(
            text("update idempotency_record set reserved_until = now() - interval '1 s' where key = :key"),
            {"key": mark},
        )


class TestTwoTransactions:
    async def test_the_settled_answer_replaces_the_pending_one(self, agent, effects, mark):
        headers = keyed()
        for _ in range(2):
            response = await agent.post("/test/refunds", json={"mark": mark}, headers=headers)
            assert (response.status_code, response.json()["version"]) == (201, 2)
        assert response.headers[REPLAYED] == "true"
        assert await effects(mark) == 1

    async def test_an_error_in_between_leaves_the_pending_answer_for_retries(self, agent, effects, mark):
        headers, body = keyed(), {"mark": mark, "fail": True}
        assert (await agent.post("/test/refunds", json=body, headers=headers)).status_code == 409
        again = await agent.post("/test/refunds", json=body, headers=headers)
        assert (again.status_code, again.json()["version"], again.headers[REPLAYED]) == (202, 1, "true")
        assert again.headers["content-type"] == "application/json"
        assert await effects(mark) == 1

    async def test_the_pending_answer_goes_with_the_effect_that_is_rolled_back(self, database, effects, mark):
        request = request_of(mark)

        async def reserve_and_fail() -> None:
            async with database.session() as session:
                await idempotency.begin(session, request)
                await effect(session, mark)
                await idempotency.store(session, request, status=202, content={"pending": True})
                raise DatabaseUnavailableError("gone")

        with pytest.raises(DatabaseUnavailableError):
            await reserve_and_fail()
        async with database.session() as session:
            await idempotency.begin(session, request)  # raises nothing: it is as new
        assert await effects(mark) == 0


class TestReservations:
    async def test_work_is_paid_for_once(self, agent, shop, effects, mark):
        headers = keyed()
        first, again = [
            await agent.post("/test/answers", json={"mark": mark}, headers=headers) for _ in range(2)
        ]
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers[REPLAYED] == "true"
        assert (shop.state.asked, await effects(mark)) == ([mark], 1)

    async def test_meanwhile_a_retry_is_told_to_wait_and_no_connection_is_held(
        self, agent, gate, database, mark
    ):
        gate.opened.clear()
        headers = keyed()
        first = asyncio.create_task(agent.post("/test/answers", json={"mark": mark}, headers=headers))
        await gate.reached.wait()
        assert database.engine.pool.checkedout() == 0
        meanwhile = await agent.post("/test/answers", json={"mark": mark}, headers=headers)
        other = await agent.post("/test/answers", json={"mark": "another"}, headers=headers)
        gate.opened.set()
        assert code(meanwhile) == (409, "idempotency_key_in_flight")
        assert int(meanwhile.headers["retry-after"]) >= 1
        assert code(other) == (422, "idempotency_key_reused")
        assert (await first).status_code == 200

    async def test_a_failure_lets_the_key_go(self, agent, shop, effects, mark):
        headers = keyed()
        failed = await agent.post("/test/answers", json={"mark": mark, "fail": True}, headers=headers)
        assert failed.status_code == 422
        mended = await agent.post("/test/answers", json={"mark": mark}, headers=headers)
        assert (mended.status_code, REPLAYED in mended.headers) == (200, False)
        assert (shop.state.asked, await effects(mark)) == ([mark, mark], 1)

    async def test_a_cancelled_request_lets_the_key_go(self, database, mark):
        request, held = request_of(mark), asyncio.Event()

        async def work() -> None:
            async with idempotency.reserve(database, request):
                held.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await held.wait()
        task.cancel()
        await asyncio.wait({task})
        async with idempotency.reserve(database, request) as reservation:
            assert reservation.id is not None

    async def test_leaving_without_an_answer_lets_the_key_go(self, database, mark):
        for _ in range(2):
            async with idempotency.reserve(database, request_of(mark)) as reservation:
                assert not reservation.stored

    async def test_a_reservation_that_ran_out_is_taken_over_and_only_one_effect_stays(
        self, database, effects, mark
    ):
        """The first was not killed but slow: it must not take effect after all."""
        request = request_of(mark)

        async def take_effect(reservation, by) -> None:
            async with database.session() as session:
                await effect(session, mark)
                await reservation.store(session, status=200, content={"by": by})

        async with idempotency.reserve(database, request) as slow:
            await run_out(database, mark)
            async with idempotency.reserve(database, request) as quick:
                await take_effect(quick, "quick")
            with pytest.raises(KeyInFlightError):
                await take_effect(slow, "slow")
        assert await effects(mark) == 1
        replay = await replay_of(database, request)
        assert replay.body == b'{"by":"quick"}'

    async def test_an_error_after_the_answer_was_committed_keeps_it(self, database, mark):
        request, made = request_of(mark), uuid4()

        async def store_and_fail() -> None:
            async with idempotency.reserve(database, request) as reservation:
                async with database.session() as session:
                    await reservation.store(session, status=200, made_id=made)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await store_and_fail()
        replay = await replay_of(database, request)
        assert (replay.made_id, replay.body) == (str(made), b"")

    async def test_without_a_key_nothing_is_reserved(self, database, mark):
        count = text("select count(*) from idempotency_record")
        async with idempotency.reserve(database, None) as one, database.session() as session:
            before = await session.scalar(count)
            await idempotency.begin(session, None)
            await one.store(session, status=200)
            await idempotency.store(session, None, status=200)
            assert await session.scalar(count) == before


async def test_the_lock_is_one_of_person_route_and_key(mark):
    one, other = request_of(mark), request_of(mark)
    assert one.lock != other.lock  # two people
    assert -(2**63) <= one.lock < 2**63
    same = KeyedRequest(principal=one.principal, route=one.route, key=one.key, fingerprint=b"other")
    assert same.lock == one.lock


def test_parts_of_a_fingerprint_do_not_run_together():
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])
    assert digest([b"a", b""]) != digest([b"a"])


def test_every_post_that_changes_something_honours_keys(shop):
    """By taking ``session`` or ``keyed``; and none takes both, which would claim the key twice."""
    neither, both = set(), set()
    for route in shop.routes:
        for handler in getattr(route, "route_handlers", ()):
            if "POST" not in handler.http_methods or handler.opt.get("public"):
                continue
            takes = {"session", "keyed"} & handler.parsed_fn_signature.parameters.keys()
            if not takes:
                neither.add(handler.operation_id or handler.handler_name)
            if len(takes) > 1:
                both.add(handler.handler_name)
    assert (neither, both) == ({"search_chunks"}, set())


@pytest.mark.parametrize("header", [KEY, KEY.lower(), KEY.upper()])
async def test_the_headers_name_has_no_case(agent, effects, mark, header):
    for _ in range(2):
        assert (await agent.post("/test/orders", json={"mark": mark}, headers={header: mark})).is_success
    assert await effects(mark) == 1
