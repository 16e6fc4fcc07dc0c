"""What must be so after a run, whatever was killed; the log of events is the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import text

from app.database import is_database_away
from tests.proof.system import System
from tests.proof.traffic import PATHS, Kind, Traffic
from tests.rag.library import until
from tests.webhooks.receiver import Receiver

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
WORDS = 300  # characters of a line of the log that a run shows
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
        f" {(system.server.errors + system.worker.errors).total()} errors logged{trouble(system)}"
    )


def trouble(system: System) -> str:
    """What those said that ended by themselves, and what was logged as an error."""
    errors = system.server.errors + system.worker.errors
    said = (*system.server.unasked, *system.worker.unasked, *(each[:WORDS] for each in errors))
    return "".join(f"\n    {each}" for each in said)


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
