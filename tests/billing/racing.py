"""A race of processes for one captured payment: watched all the time, reckoned up at the end."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
from sqlalchemy import text

from app.billing.models import Payment
from app.billing.service import ledger, payments
from app.billing.service.refunds import recovery
from app.database import Database
from app.identity import Role
from app.identity import service as identity
from tests.billing.counter import Till, TillProvider, open_till
from tests.billing.refunding import dispute, end_dispute, pay
from tests.billing.refunding_process import Task

ROOT = Path(__file__).parents[2]
SECONDS = 120
STATE = text("""
select p.captured, p.refunded, p.lost, p.overdrawn,
    (select coalesce(sum(amount), 0) from refund r
     where r.payment_id = p.id and r.status in ('pending', 'succeeded')) as reserved,
    (select coalesce(sum(amount), 0) from dispute d
     where d.payment_id = p.id and d.status = 'lost') as taken,
    (select coalesce(sum(amount) filter (where book = 'refunds'), 0) from ledger_entry e
     where e.payment_id = p.id) as booked,
    (select coalesce(-sum(amount) filter (where book in ('receivable', 'disputes_lost')), 0)
     from ledger_entry e where e.payment_id = p.id) as allowed
from payment p where p.id = :id
""")
LEFT = text("""
select count(*) filter (where r.status = 'pending') as pending,
    count(*) filter (where q.status = 'executing') as executing,
    count(*) filter (where (r.status = 'succeeded') <> (q.status = 'refunded')) as astray
from refund r join refund_request q on q.refund_id = r.id where r.payment_id = :id
""")


@dataclass
class Race:
    """What a race has, while and after it goes on."""

    database: Database
    payment: Payment
    till: Till
    port: int
    requester: str
    approver: str
    seed: int
    reads: int = 0
    kills: int = 0
    wanted: int = 0
    kills_wanted: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    async def state(self) -> dict[str, int]:
        async with self.database.session() as session:
            row = (await session.execute(STATE, {"id": self.payment.id})).one()
        return {name: int(value) for name, value in row._mapping.items()}

    async def watch(self) -> None:
        """All the time, each in one snapshot: no more is out than there is, by rows, columns and books."""
        while True:
            done = self.till.total
            now = await self.state()
            assert now["reserved"] == now["refunded"], now
            assert now["reserved"] <= now["captured"] - now["taken"], now
            assert now["overdrawn"] == 0, now
            assert now["booked"] == now["reserved"], now
            assert now["booked"] <= now["allowed"], now
            assert done <= now["reserved"], (done, now)
            assert self.till.over == []
            self.reads += 1
            await asyncio.sleep(0.002)

    async def run(self, *, processes: int, each: int, kills: int = 0) -> None:
        """Several processes at once; killed ones begin anew, unless it is but one."""
        self.wanted, self.kills_wanted = processes * each, kills
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(
                *(
                    self._process(number, each, kills // processes + (number < kills % processes))
                    for number in range(processes)
                )
            )

    async def _process(self, number: int, count: int, kills: int) -> None:
        chances = random.Random(f"{self.seed} {number}")
        for life in range(kills + (self.kills_wanted != 1 or not kills)):
            task = Task(
                port=self.port,
                payment_id=str(self.payment.id),
                requester=self.requester,
                approver=self.approver,
                count=count,
                most=6 * self.payment.captured // self.wanted,  # three times what there is
                seed=self.seed * 1_000 + number * 100 + life,
            )
            await self._live(task, chances, calls=1 + life if life < kills else None)

    async def _live(self, task: Task, chances: random.Random, *, calls: int | None) -> None:
        """One process, killed a moment after so many calls of the provider."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.billing.refunding_process"),
            env={"PATH": os.environ["PATH"], "DATABASE_URL": self.database.dsn(), "HOME": "/"},
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            await process.stdin.drain()
            seen = 0
            async for line in process.stdout:
                seen += line == b"calling\n"
                if calls is not None and seen >= calls:
                    await asyncio.sleep(chances.uniform(0, 0.02))  # before, in or after the call
                    self.kills += 1
                    return
                if line.startswith(b"{"):
                    self.outcomes.update(json.loads(line))
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    async def open_and_lose_a_dispute(self) -> None:
        """Half way: of half of what is left, so that the provider can still take it."""
        await self.till.third.wait()
        async with self.database.session() as session:
            payment = await payments.lock(session, self.payment.id)
            amount = max(1, payment.refundable // 2)
            disputed = await dispute(self.database, self.payment.id, amount=amount, session=session)
        await asyncio.sleep(0.1)
        await end_dispute(self.database, disputed, "lost")
        self.till.lost = amount

    async def recover(self) -> None:
        """What killed ones left behind; the till fails now and then, so it may take several turns."""
        provider = TillProvider(self.port)
        for _ in range(50):
            await recovery.recover(self.database, provider, now=datetime.now(UTC) + timedelta(hours=2))
            if await self._left() == {"pending": 0, "executing": 0, "astray": 0}:
                return
        raise AssertionError(await self._left())

    async def _left(self) -> dict[str, int]:
        async with self.database.session() as session:
            row = (await session.execute(LEFT, {"id": self.payment.id})).one()
        return dict(row._mapping)

    async def reckon(self) -> str:
        """Our rows, the provider's books and the ledger tell the same, refund by refund."""
        async with self.database.session() as session:
            of = text("select id::text, amount from refund where payment_id = :id and status = 'succeeded'")
            ours = {
                str(key): int(amount) for key, amount in await session.execute(of, {"id": self.payment.id})
            }
            proof = await ledger.verify(session)
        now = await self.state()
        assert ours == self.till.refunds
        assert now["reserved"] == now["refunded"] == now["booked"] == self.till.total
        assert now["refunded"] + now["lost"] <= now["captured"]
        found = [*proof.violations, *proof.differences, *proof.overdrawn]
        ids = {str(self.payment.id), *ours}
        assert not [each for each in found if any(one in each.thing for one in ids)]
        assert now["refunded"] > now["captured"] // 4, "hardly anything happened"
        return (
            f"seed {self.seed}: {now['refunded']} of {now['captured']} refunded in {len(ours)},"
            f" {now['lost']} lost, {sum(self.till.calls.values())} calls, {self.kills} kills,"
            f" {self.reads} reads, {dict(self.outcomes)}"
        )


@asynccontextmanager
async def open_race(database: Database, *, seed: int, captured: int = 1_000_000) -> AsyncIterator[Race]:
    """A payment, two people with keys, a till with faults, and the watcher, whose failure is the race's."""
    secrets = []
    payment = await pay(database, captured=captured)
    async with database.session() as session:
        for role in (Role.agent, Role.admin):
            name = f"race-{uuid4()}"
            person = await identity.upsert_person(session, name, name=name, role=role)
            secrets.append((await identity.create_key(session, name=name, role=role, person_id=person.id))[1])
    async with open_till(captured=captured, seed=seed) as (till, port):
        race = Race(database, payment, till, port, secrets[0], secrets[1], seed)
        watching = asyncio.create_task(race.watch())
        try:
            yield race
        finally:
            watching.cancel()
            (ended,) = await asyncio.gather(watching, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended


async def race_once(
    database: Database, *, seed: int, processes: int, each: int, kills: int = 0, disputed: bool = False
) -> str:
    """One whole race; what happened, in a line."""
    async with open_race(database, seed=seed) as race:
        async with asyncio.TaskGroup() as group:
            group.create_task(race.run(processes=processes, each=each, kills=kills))
            if disputed:
                group.create_task(race.open_and_lose_a_dispute())
        assert race.kills == kills
        await race.recover()
        return await race.reckon()
