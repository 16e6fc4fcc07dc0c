"""What desks do with clocks, on the real database: the rules of first response, next reply and resolution."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text

from app import sla
from app.identity.principal import SYSTEM
from app.sla.constants import ClockKind
from app.sla.engine import from_second, to_second
from app.sla.exceptions import InvalidCalendarError
from app.sla.schemas import Condition, Target
from app.sla.service import calendars, policies
from app.sla.service.reapplying import run_reapply
from app.sla.utils import check_rules
from tests.rag.library import until
from tests.sla.brute import WINDOW, ZONES, Watch, changes, some_rules
from tests.sla.conftest import HOUR, at, office_rules


def anything(version: int) -> None:
    """No check of the version."""


async def test_the_vector_of_the_specification(make_policy, desk):
    """Deadline Monday 09:30, paused Friday 16:00, resumed Saturday 12:00: Monday 10:30."""
    await make_policy(targets=[Target(kind="first_response", seconds=8 * HOUR + HOUR // 2)])
    await desk.open(at(20, 9))
    assert (await desk.clock("first_response")).due_at == at(23, 9, 30)
    await desk.do(sla.pause, at=at(20, 16))
    assert (await desk.clock("first_response")).due_at is None
    await desk.do(sla.pause, at=at(20, 18))  # pending → on hold
    await desk.do(sla.resume, at=at(21, 12))
    assert (await desk.clock("first_response")).due_at == at(23, 10, 30)


async def test_pending_to_on_hold_records_nothing_and_does_not_restart_the_pause(make_policy, desk):
    await make_policy()
    await desk.open(at(20, 9))
    await desk.do(sla.pause, at=at(20, 10))
    before = await desk.row("resolution")
    assert await desk.do(sla.pause, at=at(20, 16)) == []
    assert (await desk.row("resolution")).spans == before.spans
    assert len(await desk.events("sla.paused")) == 2


class TestReplies:
    @pytest.mark.parametrize(("public", "by_person"), [(False, True), (True, False), (False, False)])
    async def test_a_note_or_an_automatic_message_is_no_first_response(
        self, make_policy, desk, public, by_person
    ):
        await make_policy()
        await desk.open(at(20, 9))
        assert await desk.do(sla.answered, at=at(20, 10), public=public, by_person=by_person) == []
        assert (await desk.clock("first_response")).state == "running"

    async def test_a_public_reply_of_a_person_is_the_first_response(self, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.answered, at=at(20, 10), public=True, by_person=True)
        clock = await desk.clock("first_response", at(20, 16))
        assert (clock.state, clock.consumed_seconds, clock.breached_at) == ("met", HOUR, None)
        assert clock.ended_at == at(20, 10)
        assert (await desk.clock("resolution")).state == "running"

    async def test_next_reply_counts_from_the_oldest_unanswered_message(self, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        assert await desk.do(sla.start_next_reply, at=at(20, 9, 30)) == []  # the first response covers it
        await desk.do(sla.answered, at=at(20, 10), public=True, by_person=True)
        await desk.do(sla.start_next_reply, at=at(20, 11))
        assert await desk.do(sla.start_next_reply, at=at(20, 14)) == []
        assert (await desk.clock("next_reply")).due_at == at(20, 15)
        await desk.do(sla.answered, at=at(20, 14, 30), public=True, by_person=True)
        await desk.do(sla.start_next_reply, at=at(20, 15))
        second = await desk.clock("next_reply")
        assert (second.cycle, second.due_at) == (2, at(23, 11))

    async def test_two_messages_at_once_start_one_clock(self, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.answered, at=at(20, 10), public=True, by_person=True)
        started = await asyncio.gather(*(desk.do(sla.start_next_reply, at=at(20, 11)) for _ in range(6)))
        assert sum(map(len, started)) == 1

    async def test_a_message_while_paused_waits_until_counting_goes_on(self, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.answered, at=at(20, 10), public=True, by_person=True)
        await desk.do(sla.pause, at=at(20, 10))
        await desk.do(sla.start_next_reply, at=at(20, 11))
        assert (await desk.clock("next_reply")).state == "paused"
        await desk.do(sla.resume, at=at(20, 12))
        assert (await desk.clock("next_reply")).due_at == at(20, 16)

    async def test_a_late_reply_is_a_breach_though_no_sweep_has_come(self, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.answered, at=at(20, 12), public=True, by_person=True)
        clock = await desk.clock("first_response")
        assert (clock.state, clock.breached_at, clock.detected_at) == ("met", at(20, 11), at(20, 12))
        types = [each.type for each in await desk.events() if each.after["kind"] == "first_response"]
        assert types == ["sla.started", "sla.breached", "sla.met"]

    async def test_a_reply_in_the_second_of_the_deadline_keeps_it(self, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        moment = at(20, 11) + timedelta(microseconds=999_999)
        await desk.do(sla.answered, at=moment, public=True, by_person=True)
        assert (await desk.clock("first_response")).breached_at is None


class TestTargets:
    async def test_the_first_policy_by_position_that_fits_wins(self, make_policy, desk):
        urgent = [Condition(field="priority", operator="any_of", values=["urgent"])]
        await make_policy(position=20)
        wanted = await make_policy(
            position=10, conditions=urgent, targets=[Target(kind="resolution", seconds=HOUR)]
        )
        await make_policy(position=5, enabled=False)
        await desk.open(at(20, 9), priority="urgent")
        clock = await desk.clock("resolution")
        assert (clock.policy_id, clock.due_at) == (wanted.id, at(20, 10))
        assert (await desk.clock("first_response")).due_at is None  # this policy has no target for it

    async def test_a_change_of_priority_keeps_the_time_consumed(self, make_policy, desk):
        await make_policy(
            targets=[
                Target(kind="resolution", seconds=8 * HOUR),
                Target(kind="resolution", seconds=4 * HOUR, priority="high"),
            ]
        )
        await desk.open(at(20, 9), priority="low")
        await desk.open(at(20, 12), priority="high")
        assert (await desk.clock("resolution")).due_at == at(20, 13)
        (told,) = await desk.events("sla.retargeted")
        assert (told.before["target_seconds"], told.after["target_seconds"]) == (8 * HOUR, 4 * HOUR)

    async def test_a_target_already_consumed_is_breached_when_it_was_reached(self, make_policy, desk):
        await make_policy(
            targets=[
                Target(kind="resolution", seconds=16 * HOUR),
                Target(kind="resolution", seconds=2 * HOUR, priority="high"),
            ]
        )
        await desk.open(at(20, 9))
        await desk.do(sla.pause, at=at(20, 10))
        await desk.do(sla.resume, at=at(20, 12))
        await desk.do(sla.pause, at=at(20, 16))
        await desk.open(at(23, 9), priority="high")  # two hours were consumed at 13:00
        clock = await desk.clock("resolution")
        assert (clock.breached_at, clock.detected_at) == (at(20, 13), at(23, 9))

    async def test_a_breach_stays_one_though_the_target_grows_afterwards(self, make_policy, desk):
        await make_policy(
            targets=[
                Target(kind="resolution", seconds=HOUR),
                Target(kind="resolution", seconds=8 * HOUR, priority="low"),
            ]
        )
        await desk.open(at(20, 9))
        await desk.open(at(20, 12), priority="low")
        clock = await desk.clock("resolution")
        assert (clock.breached_at, clock.due_at) == (at(20, 10), at(20, 17))
        await desk.do(sla.satisfy, {ClockKind.resolution}, at=at(23, 12))
        assert len(await desk.events("sla.breached")) == 1

    async def test_applying_the_same_again_changes_and_records_nothing(self, make_policy, desk):
        await make_policy(warn_at_percent=[75])
        await desk.open(at(20, 9), priority="low", tags=("a",))
        known = await desk.events()
        assert await desk.do(sla.apply, sla.Attributes(priority="low", tags=("a",)), at=at(20, 10)) == []
        assert await desk.events() == known

    async def test_time_before_any_policy_is_counted_by_the_first_that_comes(self, make_policy, desk):
        await desk.open(at(20, 9))
        assert (await desk.clock("resolution")).due_at is None
        await make_policy()  # running clocks come under it at once
        assert (await desk.clock("resolution", at(20, 12))).consumed_seconds == 3 * HOUR
        assert (await desk.clock("first_response")).breached_at == at(20, 11)

    async def test_attributes_beyond_their_limits_are_refused(self, desk):
        with pytest.raises(msgspec.ValidationError):
            await desk.open(at(20, 9), priority="\0")

    async def test_two_first_applications_at_once_start_each_clock_once(self, make_policy, desk):
        await make_policy()
        await asyncio.gather(*(desk.open(at(20, 9)) for _ in range(6)))
        assert len(await desk.do(sla.clocks, at=at(20, 9))) == 2
        assert len(await desk.events("sla.started")) == 2


class TestChangedRules:
    async def test_a_changed_calendar_counts_from_now_on_and_keeps_what_was_consumed(
        self, database, make_calendar, make_policy, desk
    ):
        calendar = await make_calendar(office_rules(opens="00:00", closes="24:00"))
        await make_policy(calendar.id, targets=[Target(kind="resolution", seconds=400 * HOUR)])
        now = sla.service.rows.whole(await desk.do(_clock_of_database))
        await desk.open(now - timedelta(days=14))
        consumed = (await desk.clock("resolution", now)).consumed_seconds
        async with database.session() as session:
            hours = office_rules(opens="09:00", closes="10:00").hours
            await calendars.change(session, calendar.id, actor=SYSTEM, check=anything, hours=hours)
        row = await desk.row("resolution")
        assert row.calendar_version == 2
        assert [span[2][1] for span in row.spans] == [1, 2]
        clock = await desk.clock("resolution", now)
        assert clock.consumed_seconds == consumed
        left = 400 * HOUR - consumed
        assert clock.due_at > now + timedelta(days=left / HOUR)  # an hour a day now, on working days

    async def test_a_changed_policy_moves_running_clocks_and_no_finished_ones(
        self, database, make_policy, desk, other_desk
    ):
        policy = await make_policy()
        for each in (desk, other_desk):
            await each.open(at(20, 9))
        await other_desk.do(sla.satisfy, {ClockKind.resolution}, at=at(20, 10))
        async with database.session() as session:
            targets = [Target(kind="resolution", seconds=3 * HOUR)]
            await policies.change(session, policy.id, actor=SYSTEM, check=anything, targets=targets)
        assert (await desk.clock("resolution")).due_at == at(20, 12)
        assert (await other_desk.clock("resolution")).due_at == at(23, 17)
        assert (await desk.clock("first_response")).due_at is None

    async def test_of_many_subjects_a_job_does_it_and_may_be_repeated(
        self, database, make_policy, monkeypatch, desk, other_desk
    ):
        monkeypatch.setattr("app.sla.service.reapplying.INLINE_SUBJECTS", 1)
        policy = await make_policy()
        for each in (desk, other_desk):
            await each.open(at(20, 9))
        async with database.session() as session:
            targets = [Target(kind="resolution", seconds=3 * HOUR)]
            await policies.change(session, policy.id, actor=SYSTEM, check=anything, targets=targets)
        assert (await desk.clock("resolution")).due_at == at(23, 17)
        async with database.session() as session:
            taken = await session.execute(
                text("delete from pgqueuer where entrypoint = :name returning payload"),
                {"name": sla.REAPPLY_JOB},
            )
            (payload,) = taken.scalars()
        for _ in range(2):
            assert await run_reapply(database, payload) == 2
        for each in (desk, other_desk):
            assert (await each.clock("resolution")).due_at == at(20, 12)
            assert len(await each.events("sla.retargeted")) == 2  # resolution, and first response without one

    async def test_a_deleted_policy_leaves_its_clocks_to_the_next(self, database, make_policy, desk):
        policy = await make_policy(position=1, targets=[Target(kind="resolution", seconds=HOUR)])
        following = await make_policy(position=2)
        await desk.open(at(20, 9))
        async with database.session() as session:
            await policies.remove(session, policy.id, actor=SYSTEM, check=anything)
        clock = await desk.clock("resolution")
        assert (clock.policy_id, clock.target_seconds) == (following.id, 16 * HOUR)

    async def test_a_clock_started_beside_a_change_of_its_policy_gets_the_new_target(
        self, database, make_policy, desk
    ):
        """The change waits for the clock's transaction, or the clock for the change's."""
        policy = await make_policy()

        async def change() -> None:
            async with database.session() as session:
                targets = [Target(kind="resolution", seconds=3 * HOUR)]
                await policies.change(session, policy.id, actor=SYSTEM, check=anything, targets=targets)

        async with database.session() as session:
            await sla.apply(session, desk.subject, sla.Attributes(), at=at(20, 9))
            changing = asyncio.create_task(change())

            async def waiting() -> bool:
                async with database.session() as other:
                    statement = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
                    return bool(await other.scalar(text(statement))) or changing.done()

            await until(waiting)
            assert not changing.done()
        await changing
        assert (await desk.clock("resolution")).target_seconds == 3 * HOUR


class TestEndings:
    async def test_the_resolution_is_the_first_solve_and_reopens_count(self, database, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.satisfy, {ClockKind.resolution}, at=at(20, 10))
        assert await desk.do(sla.reopen, at=at(20, 11)) == []
        await desk.do(sla.satisfy, {ClockKind.resolution}, at=at(20, 12))
        assert (await desk.clock("resolution")).ended_at == at(20, 10)
        async with database.session() as session:
            reopens = await session.scalar(
                text("select reopens from sla_subject where subject_id = :id"), {"id": desk.subject.id}
            )
        assert reopens == 1

    async def test_a_new_cycle_of_the_resolution_may_breach_again(self, make_policy, desk):
        await make_policy(targets=[Target(kind="resolution", seconds=HOUR)])
        await desk.open(at(20, 9))
        await desk.do(sla.satisfy, {ClockKind.resolution}, at=at(20, 11))
        await desk.do(sla.reopen, at=at(20, 12), new_cycle=True)
        await desk.do(sla.satisfy, {ClockKind.resolution}, at=at(20, 14))
        breaches = await desk.events("sla.breached")
        assert [(each.after["cycle"], each.after["breached_at"]) for each in breaches] == [
            (1, "2026-11-20T10:00:00Z"),
            (2, "2026-11-20T13:00:00Z"),
        ]

    async def test_a_canceled_clock_never_breaches(self, database, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.cancel, at=at(20, 10))
        await sla.sweep(database, now=at(27, 9))
        assert {each.state for each in await desk.do(sla.clocks, at=at(27, 9))} == {"canceled"}
        assert await desk.events("sla.breached") == []

    async def test_actions_on_an_unknown_subject_do_nothing(self, desk):
        for action in (sla.pause, sla.resume, sla.cancel, sla.start_next_reply, sla.reopen):
            assert await desk.do(action, at=at(20, 9)) == []
        assert await desk.events() == []

    async def test_an_action_dated_before_the_clock_takes_no_time_back(self, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.pause, at=at(20, 8))
        await desk.do(sla.resume, at=at(20, 8, 30))
        assert (await desk.clock("first_response")).due_at == at(20, 11)


class TestEvidence:
    async def test_a_fixed_deadline_knows_no_pause_and_no_policy(self, database, make_policy, desk):
        await make_policy()
        await desk.open(at(20, 9))
        await desk.do(sla.start_deadline, due_at=at(21, 3), at=at(20, 9), warn_before=[7200, 3600])
        await desk.do(sla.pause, at=at(20, 10))
        assert (await desk.clock("evidence")).due_at == at(21, 3)
        counts = await sla.sweep(database, now=at(21, 1))
        assert counts.warnings == 1
        await sla.sweep(database, now=at(21, 3, 0, 1))
        assert (await desk.clock("evidence")).breached_at == at(21, 3)

    async def test_it_can_be_moved_and_is_met_in_time(self, database, desk):
        await desk.do(sla.start_deadline, due_at=at(21, 3), at=at(20, 9))
        await desk.do(sla.start_deadline, due_at=at(25, 3), at=at(20, 10))
        await sla.sweep(database, now=at(22, 1))
        await desk.do(sla.satisfy, {ClockKind.evidence}, at=at(25, 3))
        clock = await desk.clock("evidence")
        assert (clock.cycle, clock.state, clock.breached_at, clock.due_at) == (1, "met", None, at(25, 3))


@pytest.mark.parametrize("seed", range(8))
async def test_stored_clocks_live_like_one_that_looks_at_every_second(
    database, make_calendar, make_policy, desk, seed
):
    """The comparison of the engine's tests, through the database: pauses and changes of priority."""
    chance = random.Random(seed)
    zone = chance.choice(list(ZONES))
    start = chance.choice([day for day in changes(zone) if day > 0]) - chance.randrange(WINDOW // 2)
    rules = some_rules(chance, zone, start)
    while not _is_open_now(rules):
        rules = some_rules(chance, zone, start)
    goals = {"low": chance.randrange(1, 86_400), "high": chance.randrange(1, 20_000)}
    targets = [Target(kind="resolution", seconds=goal, priority=name) for name, goal in goals.items()]
    await make_policy((await make_calendar(rules)).id, targets=targets)
    watch = Watch(start=start, rules=[rules], target=goals["low"])
    await desk.open(from_second(start), priority="low")
    breach = None
    for moment in sorted({start + chance.randrange(1, WINDOW) for _ in range(8)}):
        watch.step_to(moment)
        breach = breach or _passed(watch, moment)
        match chance.choice(("pause", "resume", "low", "high")):
            case "pause":
                watch.running = False
                await desk.do(sla.pause, at=from_second(moment))
            case "resume":
                watch.running = True
                await desk.do(sla.resume, at=from_second(moment))
            case priority:
                watch.target = goals[priority]
                await desk.open(from_second(moment), priority=priority)
        breach = breach or _passed(watch, moment)
        clock = await desk.clock("resolution", from_second(moment))
        assert clock.consumed_seconds == int(watch.counted.sum())
        assert (clock.breached_at and to_second(clock.breached_at)) == breach
        if (due := watch.deadline()) is not None:
            assert to_second(clock.due_at) == due
        else:
            assert clock.due_at is None or to_second(clock.due_at) >= start + WINDOW
    assert len(await desk.events("sla.breached")) == (breach is not None)


def _passed(watch: Watch, moment: int) -> int | None:
    due = watch.deadline()
    return due if due is not None and due < moment else None


def _is_open_now(rules) -> bool:
    try:
        check_rules(rules, now=datetime.now(UTC))
        return True
    except InvalidCalendarError:
        return False


async def test_events_name_the_desks_subject_and_are_not_for_customers(make_policy, desk):
    await make_policy()
    await desk.open(at(20, 9))
    await desk.do(sla.pause, at=at(20, 10))
    told = await desk.events()
    assert {each.type for each in told} == {"sla.started", "sla.paused"}
    assert not any(each.customer_visible for each in told)


async def test_a_rolled_back_action_leaves_neither_clock_nor_event(database, make_policy, desk):
    await make_policy()
    async with database.session() as session:
        await sla.apply(session, desk.subject, sla.Attributes(), at=at(20, 9))
        await session.rollback()
    assert await desk.do(sla.clocks, at=at(20, 9)) == []
    assert await desk.events() == []


async def _clock_of_database(session, _subject):
    return await session.scalar(text("select now()"))
