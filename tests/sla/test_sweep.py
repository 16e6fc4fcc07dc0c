"""The sweep: every warning and every breach once, however many sweeps run and wherever they are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import sla
from app.events import Subject
from app.sla.schemas import Target
from tests.rag.library import until
from tests.sla.conftest import HOUR, Desk, at

ROOT = Path(__file__).parent.parent.parent
TARGETS = [
    Target(kind="first_response", seconds=2 * HOUR),
    Target(kind="resolution", seconds=4 * HOUR),
]


async def told(database) -> Counter[tuple[str, str]]:
    """How often each (clock, type of event) was told, of the clocks that there are."""
    async with database.session() as session:
        rows = await session.execute(
            text(
                "select e.after->>'clock_id' as clock, e.type from event e"
                " join sla_clock c on c.subject_type = e.subject_type and c.subject_id = e.subject_id"
                " and c.id = cast(e.after->>'clock_id' as uuid)"
                " where e.type in ('sla.warning', 'sla.breached')"
            )
        )
        return Counter((row.clock, row.type) for row in rows)


async def many(database, count: int) -> None:
    """Subjects with two clocks each, in one transaction."""
    async with database.session() as session:
        for _ in range(count):
            await sla.apply(session, Subject("ticket", uuid4()), sla.Attributes(), at=at(20, 9))


async def test_a_deadline_is_breached_from_the_second_after_it(database, make_policy, desk):
    await make_policy(targets=TARGETS)
    await desk.open(at(20, 9))
    assert (await sla.sweep(database, now=at(20, 11))).breaches == 0
    assert (await sla.sweep(database, now=at(20, 11, 0, 1))).breaches == 1
    clock = await desk.clock("first_response")
    assert (clock.breached_at, clock.detected_at) == (at(20, 11), at(20, 11, 0, 1))


async def test_a_breach_that_is_seen_late_happened_at_the_deadline(database, make_policy, desk):
    await make_policy(targets=TARGETS)
    await desk.open(at(20, 9))
    assert (await sla.sweep(database, now=at(27, 12))).breaches == 2
    (first, second) = await desk.events("sla.breached")
    assert {each.after["breached_at"] for each in (first, second)} == {
        "2026-11-20T11:00:00Z",
        "2026-11-20T13:00:00Z",
    }
    assert (await sla.sweep(database, now=at(28, 12))).breaches == 0


async def test_each_step_warns_once_and_none_after_the_breach(database, make_policy, desk):
    await make_policy(targets=TARGETS[:1], warn_at_percent=[90, 50, 75])
    await desk.open(at(20, 9))
    for minute, expected in ((59, 0), (60, 1), (61, 0), (109, 2), (119, 0)):
        moment = at(20, 9 + minute // 60, minute % 60)
        assert (await sla.sweep(database, now=moment)).warnings == expected, minute
    assert [each.after["percent"] for each in await desk.events("sla.warning")] == [50, 75, 90]
    assert (await desk.row("first_response")).check_at == at(20, 11, 0, 1)  # looked at again only then
    late = Desk(database, Subject("ticket", uuid4()))
    await late.open(at(20, 9))
    counts = await sla.sweep(database, now=at(24, 9))
    assert (counts.warnings, counts.breaches) == (0, 2)


async def test_a_step_that_warned_before_a_pause_does_not_warn_again(database, make_policy, desk):
    await make_policy(targets=TARGETS[:1], warn_at_percent=[50])
    await desk.open(at(20, 9))
    await sla.sweep(database, now=at(20, 10, 30))
    await desk.do(sla.pause, at=at(20, 10, 30))
    await desk.do(sla.resume, at=at(20, 12))
    assert (await desk.clock("first_response")).due_at == at(20, 12, 30)
    assert (await sla.sweep(database, now=at(20, 12, 15))).warnings == 0


async def test_a_paused_clock_is_not_swept(database, make_policy, desk):
    await make_policy(targets=TARGETS)
    await desk.open(at(20, 9))
    await desk.do(sla.pause, at=at(20, 10))
    assert (await sla.sweep(database, now=at(27, 9))).breaches == 0


async def test_sweeps_at_once_mark_every_clock_once(database, make_policy):
    await make_policy(targets=TARGETS, warn_at_percent=[50])
    await many(database, 40)
    await asyncio.gather(*(sla.sweep(database, now=at(20, 10, 30), batch=7) for _ in range(6)))
    counts = await asyncio.gather(*(sla.sweep(database, now=at(20, 14), batch=7) for _ in range(6)))
    assert sum(each.breaches for each in counts) == 80
    assert sum(each.breaches > 0 for each in counts) > 1, "one sweep did it all: nothing was shown"
    found = await told(database)
    assert Counter(kind for _, kind in found) == {"sla.warning": 40, "sla.breached": 80}
    assert set(found.values()) == {1}


async def test_a_sweep_waits_for_no_one(database, make_policy, desk, other_desk):
    await make_policy(targets=TARGETS)
    await desk.open(at(20, 9))
    await other_desk.open(at(20, 9))
    async with database.session() as session:
        await session.execute(
            text("select 1 from sla_clock where subject_id = :id for update"), {"id": desk.subject.id}
        )
        counts = await asyncio.wait_for(sla.sweep(database, now=at(20, 14)), timeout=5)
    assert counts.breaches == 2
    assert (await sla.sweep(database, now=at(20, 14))).breaches == 2


async def test_a_reply_and_a_sweep_at_once_tell_one_breach(database, make_policy):
    await make_policy(targets=TARGETS)
    for _ in range(10):
        desk = Desk(database, Subject("ticket", uuid4()))
        await desk.open(at(20, 9))
        await asyncio.gather(
            desk.do(sla.answered, at=at(20, 12), public=True, by_person=True),
            sla.sweep(database, now=at(20, 12)),
        )
        clock = await desk.clock("first_response")
        assert (clock.state, clock.breached_at) == ("met", at(20, 11))
        assert len(await desk.events("sla.breached")) == 1


SWEEPER = """
import asyncio, sys
from datetime import datetime
from app.config import Settings
from app.database import Database
from app import sla

async def main():
    database = Database(Settings(database_url=sys.argv[1]))
    database.open()
    print("ready", flush=True)
    while True:
        await sla.sweep(database, now=datetime.fromisoformat(sys.argv[2]), batch=3)

asyncio.run(main())
"""


async def killed_sweeps(database, *, subjects: int, kills: int, chance: random.Random) -> None:
    """Real processes, killed somewhere in the middle, until one more finishes what they left."""
    await many(database, subjects)
    now = at(20, 14)
    for _ in range(kills):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SWEEPER,
            database.dsn("app"),
            now.isoformat(),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), timeout=60)
        before = len(await told(database))

        async def moved(before: int = before) -> bool:
            return not len(await told(database)) == before < 2 * subjects

        await until(moved, seconds=60, every=chance.uniform(0.001, 0.02))
        process.send_signal(signal.SIGKILL)
        await process.wait()
    half_done = len(await told(database))
    await sla.sweep(database, now=now)
    found = await told(database)
    assert len(found) == 2 * subjects
    assert set(found.values()) == {1}
    assert half_done <= 2 * subjects
    async with database.session() as session:
        left = (
            "select count(*) from sla_clock where breached_at is distinct from due_at or check_at is not null"
        )
        assert await session.scalar(text(left)) == 0


async def test_sweeps_killed_in_the_middle_lose_and_double_nothing(database, make_policy):
    await make_policy(targets=TARGETS)
    await killed_sweeps(database, subjects=60, kills=1, chance=random.Random(1))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(8))
async def test_sweeps_killed_again_and_again_lose_and_double_nothing(database, make_policy, seed):
    await make_policy(targets=TARGETS)
    await killed_sweeps(database, subjects=400, kills=5, chance=random.Random(seed))
