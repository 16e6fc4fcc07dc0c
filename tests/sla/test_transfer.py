"""Merging: the earliest unanswered clock is kept, and everything can be taken back."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from app import sla
from app.sla.constants import ClockKind
from app.sla.schemas import Target
from tests.sla.conftest import HOUR, at


async def merge(source, target, moment):
    async with source.database.session() as session:
        record = await sla.transfer(session, source.subject, target.subject, at=moment)
    return msgspec.json.decode(msgspec.json.encode(record), type=sla.Transfer)  # as the desk stores it


async def undo(desk, record, moment):
    async with desk.database.session() as session:
        return await sla.undo_transfer(session, record, at=moment)


async def states(desk) -> dict[str, str]:
    views = await desk.do(sla.clocks, at=at(20, 12))
    return {f"{each.kind} {each.cycle}": each.state for each in views}


@pytest.fixture
async def two(make_policy, desk, other_desk):
    """(the older, the newer) of two subjects that nobody has answered."""
    await make_policy()
    await desk.open(at(20, 9))
    await other_desk.open(at(20, 10))
    return desk, other_desk


async def test_the_one_that_waits_longer_moves_into_the_target(two):
    older, newer = two
    await merge(older, newer, at(20, 10, 30))
    assert await states(older) == {"resolution 1": "canceled"}
    assert await states(newer) == {
        "first_response 1": "canceled",
        "first_response 2": "running",
        "resolution 1": "running",
    }
    assert (await newer.clock("first_response")).due_at == at(20, 11)


async def test_the_targets_own_clock_stays_when_it_waits_longer(two):
    older, newer = two
    await merge(newer, older, at(20, 10, 30))
    assert await states(newer) == {"first_response 1": "canceled", "resolution 1": "canceled"}
    assert await states(older) == {"first_response 1": "running", "resolution 1": "running"}


async def test_what_is_still_unanswered_moves_into_an_answered_target(two):
    older, newer = two
    await newer.do(sla.answered, at=at(20, 10, 10), public=True, by_person=True)
    await merge(older, newer, at(20, 10, 30))
    assert (await states(newer))["first_response 2"] == "running"
    await newer.do(sla.answered, at=at(20, 12), public=True, by_person=True)
    assert (await newer.clock("first_response")).breached_at == at(20, 11)


async def test_a_moved_clock_rests_with_a_paused_target(two):
    older, newer = two
    await newer.do(sla.pause, at=at(20, 10, 15))
    await merge(older, newer, at(20, 10, 30))
    assert (await states(newer))["first_response 2"] == "paused"
    await newer.do(sla.resume, at=at(23, 9))
    assert (await newer.clock("first_response")).due_at == at(23, 9, 30)


@pytest.mark.parametrize("into_the_older", [True, False])
async def test_an_undo_gives_both_sides_back_what_they_had(two, into_the_older):
    older, newer = two
    before = [await each.do(sla.clocks, at=at(20, 10, 45)) for each in two]
    record = (
        await merge(newer, older, at(20, 10, 30))
        if into_the_older
        else await merge(older, newer, at(20, 10, 30))
    )
    await undo(older, record, at(20, 10, 40))
    assert [await each.do(sla.clocks, at=at(20, 10, 45)) for each in two] == before


async def test_what_was_answered_while_merged_is_answered_on_both_sides(two):
    older, newer = two
    record = await merge(older, newer, at(20, 10, 30))
    await newer.do(sla.answered, at=at(20, 10, 45), public=True, by_person=True)
    await undo(older, record, at(20, 11))
    for each in two:
        clock = await each.clock("first_response")
        assert (clock.cycle, clock.state, clock.ended_at) == (1, "met", at(20, 10, 45))
        assert (await states(each))["resolution 1"] == "running"


async def test_a_deadline_that_passes_while_merged_is_a_breach_after_the_undo(database, two):
    older, newer = two
    record = await merge(newer, older, at(20, 10, 30))
    await undo(older, record, at(20, 14))
    clock = await newer.clock("first_response")
    assert (clock.breached_at, clock.detected_at) == (at(20, 12), at(20, 14))


async def test_evidence_clocks_stay_where_they_are(two):
    older, newer = two
    await older.do(sla.start_deadline, due_at=at(25, 9), at=at(20, 9))
    await merge(older, newer, at(20, 10, 30))
    assert (await older.clock("evidence")).state == "running"


async def test_a_subject_is_not_merged_into_itself(two):
    with pytest.raises(ValueError, match="itself"):
        await merge(two[0], two[0], at(20, 10))


async def test_merges_across_each_other_do_not_deadlock(make_policy, desk, other_desk):
    await make_policy(targets=[Target(kind="next_reply", seconds=2 * HOUR)])
    desks = (desk, other_desk)
    for each in desks:
        await each.open(at(20, 9))
        await each.do(sla.answered, at=at(20, 9), public=True, by_person=True)
    for round_ in range(5):
        await asyncio.gather(*(each.do(sla.start_next_reply, at=at(20, 9)) for each in desks))
        merges = asyncio.gather(merge(desk, other_desk, at(20, 10)), merge(other_desk, desk, at(20, 10)))
        await asyncio.wait_for(merges, timeout=10)
        met = [await each.do(sla.satisfy, {ClockKind.next_reply}, at=at(20, 10)) for each in desks]
        assert sorted(map(len, met)) == [0, 1], round_
