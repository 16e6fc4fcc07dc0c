"""kill -9 of server, worker and Postgres at random points under load: what was promised is so, once.

The log of events is the truth. Whatever a client was promised is in it once; whatever is in it arrives at the
webhook at least once, first arrivals of a subject in its order, and at a reader of the log exactly once.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from app.database import is_database_away
from app.identity import SYSTEM
from app.webhooks.service import endpoints
from tests.proof.system import VICTIMS, System, a_system
from tests.proof.traffic import PATHS, Kind, Traffic
from tests.rag.library import until
from tests.tridesk import processes_of
from tests.webhooks.receiver import Message, Receiver, receiving

TYPES = ["person.*", "account.*", "collection.*", "document.*"]
NAMES = {Kind.PERSON: "name", Kind.ACCOUNT: "name", Kind.COLLECTION: "name", Kind.DOCUMENT: "title"}
LOG = """
select id::text, type, subject_type, subject_id::text, before, after from event
order by "transaction", number
"""
STATE = """
select
    (select count(*) from pgqueuer where status <> 'failed') as jobs,
    (select count(*) from pgqueuer where status = 'failed') as failed_jobs,
    (select count(*) from webhook_queue) as queued,
    (select count(*) from webhook_delivery where status <> 'delivered') as undelivered,
    (select count(*) from webhook_delivery) as deliveries,
    (select count(*) from event where subject_type in ('person', 'account', 'collection', 'document'))
        as told,
    (select count(*) from document where status <> 'ready') as unready
"""
LONGEST = 900  # seconds; a client that never gets its answer ends the run
QUIET = {"jobs": 0, "failed_jobs": 0, "queued": 0, "undelivered": 0, "unready": 0}


@dataclass(frozen=True)
class Run:
    """What a run has, while and after it goes on."""

    system: System
    traffic: Traffic
    receiver: Receiver

    async def progress(self, count: int, seconds: float = 60) -> None:
        """So many more requests have their final answers, whatever was killed."""
        target = self.traffic.settled + count

        async def is_there() -> bool:
            return self.traffic.settled >= target

        await until(is_there, seconds=seconds)

    async def rows(self, statement: str) -> list[dict[str, Any]]:
        async with self.system.database.session() as session:
            return [dict(row._mapping) for row in await session.execute(text(statement))]

    async def is_quiet(self) -> bool:
        """Whether nothing is left to do; a job that was given up leaves it so, and is found by the claims."""
        try:
            (state,) = await self.rows(STATE)
        except Exception as error:
            if not is_database_away(error):
                raise
            return False
        return state["deliveries"] == state["told"] and not (
            state["jobs"] or state["queued"] or state["undelivered"]
        )


async def crash(
    folder: Path,
    models: Path,
    *,
    seed: int,
    clients: int,
    worker_in_server: bool,
    killing: Callable[[Run, random.Random], Awaitable[None]],
    quiet_within: float,
) -> str:
    """One run with all its claims; its counts."""
    began = time.monotonic()
    async with a_system(folder, models, worker_in_server=worker_in_server) as (system, key):
        endpoint_secret: list[str] = []

        async def behave(message: Message) -> int:
            Webhook(endpoint_secret[0]).verify(message.body, message.headers)
            await asyncio.sleep(0.01)
            return 204

        headers = {"Authorization": f"Bearer {key}"}
        async with (
            receiving(behave) as receiver,
            httpx.AsyncClient(base_url=system.address, headers=headers, timeout=20) as client,
        ):
            endpoint_secret.append(await subscribe(system, receiver.url))
            run = Run(system, Traffic(client, random.Random(seed)), receiver)
            await under_load(run, random.Random(seed), clients=clients, killing=killing, within=quiet_within)
            counts = await assert_all_is_well(run)
            assert await system.stop() == [0, 0]
    assert processes_of(folder) == []
    return f"seed {seed}: {counts}; {time.monotonic() - began:.0f} s"


async def subscribe(system: System, url: str) -> str:
    """The secret of a new endpoint."""
    async with system.database.session() as session:
        endpoint = await endpoints.create(
            session,
            url=url,
            events=TYPES,
            description="",
            enabled=True,
            principal=SYSTEM,
            allow_private=True,
        )
        return endpoint.secret


async def under_load(
    run: Run,
    chance: random.Random,
    *,
    clients: int,
    killing: Callable[[Run, random.Random], Awaitable[None]],
    within: float,
) -> None:
    """Clients and killer at once; then quiet. A client or reader that fails ends all."""
    traffic = run.traffic

    async def kill() -> None:
        await killing(run, chance)
        traffic.stopping.set()

    async def work() -> None:
        await traffic.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(kill())
            for _ in range(clients):
                group.create_task(traffic.run())
        try:
            await until(run.is_quiet, seconds=within, every=0.1)
        except TimeoutError:
            raise AssertionError(f"not quiet after {within} s: {await run.rows(STATE)}") from None
        traffic.all_is_quiet.set()

    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        group.create_task(traffic.follow())
        group.create_task(work())


async def assert_all_is_well(run: Run) -> str:
    """Every claim; the counts."""
    log = await run.rows(LOG)
    counts, system = run.traffic.counts.copy(), run.system
    await assert_promises_are_kept_once(run, log)
    await assert_edits_are_whole(run, log)
    await assert_replays_are_equal(run)
    await assert_jobs_have_ended(run, log)
    repeats = assert_all_arrived_in_order(run, log)
    assert run.traffic.seen == [each["id"] for each in log], "a reader missed an event or saw one twice"
    assert (await run.rows(LOG)) == log, "a replay did something"
    return (
        f"{counts['requests']} requests for {run.traffic.settled} effects"
        f" ({counts['unanswered']} unanswered, {counts['database_unavailable']} refused 503,"
        f" {counts['idempotency_key_in_flight']} in flight, {counts['replayed']} replayed,"
        f" {counts['overtaken']} overtaken),"
        f" kills {dict(system.kills)}, {len(log)} events,"
        f" {len(run.receiver.taken)} deliveries taken, {repeats} repeats,"
        f" {len(system.server.unasked)} servers and {len(system.worker.unasked)} workers ended unasked,"
        f" {(system.server.errors + system.worker.errors).total()} errors logged{last_words(system)}"
    )


def last_words(system: System) -> str:
    """What those said that ended by themselves, and what was logged as an error."""
    errors = system.server.errors + system.worker.errors
    return "".join(f"\n    {each}" for each in (*system.server.unasked, *system.worker.unasked, *errors))


async def assert_promises_are_kept_once(run: Run, log: list[dict[str, Any]]) -> None:
    """By the log, and by the rows of the tables, except for people who were renamed since."""
    made: dict[str, list[str]] = defaultdict(list)
    for each in log:
        if each["type"].endswith(".created") and each["subject_type"] in PATHS:
            made[each["after"][NAMES[Kind(each["subject_type"])]]].append(each["subject_id"])
    promised = {each.marker: [each.id] for each in run.traffic.promises}
    assert made == promised
    stored: dict[str, list[str]] = defaultdict(list)
    for kind, name in NAMES.items():
        for row in await run.rows(f"select {name} as name, id::text from {kind}"):
            if row["id"] not in run.traffic.people:
                stored[row["name"]].append(row["id"])
    assert stored == {name: ids for name, ids in promised.items() if ids[0] not in run.traffic.people}


async def assert_edits_are_whole(run: Run, log: list[dict[str, Any]]) -> None:
    """None lost, none twice, none on top of a version that its client had not seen."""
    updates: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in log:
        if each["type"] in {"person.created", "person.updated"}:
            updates[each["subject_id"]].append(each)
    for history in updates.values():
        for one, next_one in pairwise(history):
            assert next_one["before"]["name"] == one["after"]["name"]
    done = Counter(
        (each["subject_id"], each["before"]["name"], each["after"]["name"])
        for each in log
        if each["type"] == "person.updated"
    )
    for edit in run.traffic.edits:
        times = done.pop((edit.person, edit.before, edit.marker), 0)
        assert times in ({0, 1} if edit.is_done is None else {int(edit.is_done)}), edit
    assert not done, "a change that nobody asked for, or not of what they had seen"
    for row in await run.rows("select id::text, name, version from person"):
        assert row["version"] == len(updates[row["id"]])
        assert row["name"] == updates[row["id"]][-1]["after"]["name"]


async def assert_replays_are_equal(run: Run) -> None:
    for each in run.traffic.promises:
        answer = await run.traffic.post(each.kind, each.marker, each.body)
        assert answer.headers["idempotency-replayed"] == "true"
        assert (answer.status_code, answer.content) == (each.status, each.content)


async def assert_jobs_have_ended(run: Run, log: list[dict[str, Any]]) -> None:
    (state,) = await run.rows(STATE)
    assert state.items() >= QUIET.items()
    ready = Counter(each["subject_id"] for each in log if each["type"] == "document.ready")
    assert ready == Counter(each.id for each in run.traffic.promises if each.kind is Kind.DOCUMENT)


def assert_all_arrived_in_order(run: Run, log: list[dict[str, Any]]) -> int:
    """How many messages came more than once."""
    expected: dict[str, list[str]] = defaultdict(list)
    for each in log:
        if each["subject_type"] in PATHS:
            expected[each["subject_id"]].append(each["id"])
    arrived: dict[str, list[str]] = defaultdict(list)
    for message in run.receiver.taken:
        if message.event["id"] not in arrived[message.subject]:
            arrived[message.subject].append(message.event["id"])
    assert arrived == expected
    return len(run.receiver.taken) - sum(map(len, expected.values()))


async def test_killing_postgres_server_and_worker_under_load_loses_and_doubles_nothing(
    tmp_path: Path, data_dir: Path, rag: object
):
    async def killing(run: Run, chance: random.Random) -> None:
        await run.progress(15)
        await asyncio.sleep(chance.uniform(0, 0.3))
        await run.system.kill("cluster", chance)
        await run.progress(15)
        await asyncio.sleep(chance.uniform(0, 0.3))
        await run.system.kill("server", chance)
        await asyncio.sleep(chance.uniform(0, 0.3))
        await run.system.kill_worker_and_let_its_time_pass()
        await run.progress(20)

    counts = await crash(
        tmp_path / "data",
        data_dir / "models",
        seed=0,
        clients=3,
        worker_in_server=False,
        killing=killing,
        quiet_within=60,
    )
    sys.stdout.write(f"{counts}\n")


KILLS = 12


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(5))
async def test_kills_at_random_points(tmp_path: Path, data_dir: Path, rag: object, seed: int):
    """Leases and heartbeats run out by themselves; odd seeds have a second worker inside the server."""

    async def killing(run: Run, chance: random.Random) -> None:
        for _ in range(KILLS):
            if chance.random() < 0.6:
                await run.progress(chance.randrange(5, 40))
            await asyncio.sleep(chance.uniform(0, 3))  # in mid-start and mid-recovery, too
            await run.system.kill(chance.choice(VICTIMS), chance)
        await run.progress(20)

    counts = await crash(
        tmp_path / "data",
        data_dir / "models",
        seed=seed,
        clients=4,
        worker_in_server=bool(seed % 2),
        killing=killing,
        quiet_within=180,
    )
    sys.stdout.write(f"{counts}\n")
