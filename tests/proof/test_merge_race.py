"""50 writers merge, undo, split, write and move the same tickets at once: nothing is lost or broken.

Real commits on a connection each; in the full size five processes of ten writers. Then everything is undone,
and merges in random chains are shown to be restored exactly.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.identity import Role
from app.identity import service as identity
from app.technical.exceptions import NotMergedError
from app.technical.service import linking, merging, tickets, unmerging
from tests.technical.folding import rebuild, state_of
from tests.technical.racing import Cast, Writer, family, race, wide

ROOT = Path(__file__).parent.parent.parent
MINE = "select id from ticket where account_id = :account"

# What must never be, each with a count of it.
BROKEN = {
    "messages on a merged ticket": f"""
        select count(*) from message m join conversation c on c.id = m.conversation_id
        join ticket t on t.id = c.subject_id where t.status = 'merged' and t.id in ({MINE})""",
    "numbers beyond the last": f"""
        select count(*) from message m join conversation c on c.id = m.conversation_id
        where c.subject_id in ({MINE}) and m.number > c.last_number""",
    "tickets with several clocks that wait": f"""
        select count(*) from (select subject_id from sla_clock where subject_id in ({MINE})
        and kind in ('first_response', 'next_reply') and state in ('running', 'paused')
        group by subject_id having count(*) > 1) several""",
    "clocks that run on a merged ticket": f"""
        select count(*) from sla_clock c join ticket t on t.id = c.subject_id
        where t.status = 'merged' and t.id in ({MINE}) and c.state in ('running', 'paused')""",
    "customers who wait without a clock": f"""
        select count(*) from ticket t where t.id in ({MINE}) and t.waiting_since is not null
        and t.status in ('new', 'open', 'pending', 'on_hold') and t.reopens = 0
        and not exists (select from sla_clock c where c.subject_id = t.id
        and kind in ('first_response', 'next_reply') and state in ('running', 'paused'))""",
    "tickets that disagree with their conversation": f"""
        select count(*) from ticket t join conversation c on c.subject_id = t.id
        where t.id in ({MINE}) and t.waiting_since is distinct from c.unanswered_since""",
    "pointers to a merged ticket": f"""
        select count(*) from ticket s join ticket t on t.id = s.merged_into_id
        where s.id in ({MINE}) and t.merged_into_id is not null""",
    "merged tickets without one merge that holds": f"""
        select count(*) from ticket t where t.id in ({MINE}) and (t.status = 'merged') <> (select count(*) = 1
        from ticket_merge m where m.source_id = t.id and m.undone_at is null)""",
    "links of a merged ticket": f"""
        select count(*) from ticket_link l join ticket t on t.id in (l.ticket_id, l.other_id)
        where t.status = 'merged' and t.id in ({MINE})""",
    "parents in a circle": f"""
        with recursive up (start, id) as (
            select ticket_id, other_id from ticket_link where kind = 'parent' and ticket_id in ({MINE})
            union select up.start, l.other_id from ticket_link l join up on l.ticket_id = up.id
            where l.kind = 'parent')
        select count(*) from up where start = id""",
}
SAID = """
select m.body_raw, count(*) from message m join conversation c on c.id = m.conversation_id
where c.subject_id in (select id from ticket where account_id = :account) group by m.body_raw
"""


async def cast_of(database: Database, count: int) -> Cast:
    """A customer, an agent, and tickets of the customer's account."""
    name = str(uuid4())
    async with database.session() as session:
        account = await identity.upsert_account(session, name, name)
        customer = await identity.upsert_person(session, f"c {name}", account_id=account.id)
        agent = await identity.upsert_person(session, f"a {name}", role=Role.agent)
        told = {"customer": customer.id, "account": account.id, "agent": agent.id, "tickets": []}
    cast = Cast.read({key: each if key == "tickets" else str(each) for key, each in told.items()})
    writer = Writer(database, cast, 0)
    for number in range(count):
        async with database.session() as session:
            made = await tickets.create(
                session, writer.desk, actor=cast.customer, subject="s", description=f"{name} {number}"
            )
        cast.ticket_ids.append(made.id)
        cast.said.append(made.description)
    return cast


async def broken(database: Database, cast: Cast) -> dict[str, int]:
    async with database.session() as session:
        found = {
            name: await session.scalar(text(each), {"account": cast.customer.account_id})
            for name, each in BROKEN.items()
        }
    return {name: count for name, count in found.items() if count}


async def assert_whole(database: Database, cast: Cast) -> None:
    """Every message once, every pointer, clock and link right, every ticket what its events tell."""
    assert await broken(database, cast) == {}
    async with database.session() as session:
        found = await session.execute(text(SAID), {"account": cast.customer.account_id})
        assert {body: count for body, count in found} == dict.fromkeys(cast.said, 1)  # noqa: C416 - typed rows
    for each in await family(database, _account(cast)):
        now = await state_of(database, each)
        states = await rebuild(database, each)
        assert list(states) == list(range(1, now["version"] + 1))
        assert states[now["version"]] == now


def _account(cast: Cast) -> UUID:
    assert cast.customer.account_id is not None
    return cast.customer.account_id


async def undo_everything(database: Database, cast: Cast, chance: random.Random) -> int:
    """In any order; how many merges there were."""
    writer, undone = Writer(database, cast, 0), 0
    ids = await family(database, _account(cast))
    chance.shuffle(ids)
    for each in ids:
        try:
            async with database.session() as session:
                await unmerging.unmerge(session, writer.desk, each, actor=cast.agent)
            undone += 1
        except NotMergedError:
            continue
    return undone


async def photograph(database: Database, cast: Cast) -> dict[str, Any]:
    """All that a merge and its undoing must leave as it was."""
    queries = {
        "ticket": f"select id, status, status_changed_at, merged_into_id, waiting_since, solved_at"
        f" from ticket where id in ({MINE})",
        "message": f"select m.id, c.subject_id, m.number from message m"
        f" join conversation c on c.id = m.conversation_id where c.subject_id in ({MINE})",
        "participant": f"select c.subject_id, p.role, p.person_id from participant p"
        f" join conversation c on c.id = p.conversation_id where c.subject_id in ({MINE})",
        "clock": f"select id, subject_id, kind, cycle, state, spans, target_seconds, due_at, ended_at"
        f" from sla_clock where subject_id in ({MINE})",
        "link": f"select ticket_id, kind, other_id from ticket_link where ticket_id in ({MINE})",
        "conversation": f"select subject_id, unanswered_since, last_staff_reply_at, last_customer_message_at,"
        f" first_reply_at from conversation where subject_id in ({MINE})",
    }
    async with database.session() as session:
        return {
            name: Counter(
                str(tuple(row)) for row in await session.execute(text(each), {"account": _account(cast)})
            )
            for name, each in queries.items()
        }


async def assert_chains_are_restored(
    database: Database, cast: Cast, chance: random.Random, rounds: int
) -> None:
    """Merges of random tickets into each other, undone the last one first, with nothing in between."""
    writer = Writer(database, cast, 0)
    for _ in range(rounds):
        before, merged = await photograph(database, cast), []
        free = set(cast.ticket_ids)
        for _ in range(chance.randint(1, 4)):
            source, target = chance.sample(sorted(free), 2)
            async with database.session() as session:
                await merging.merge(session, writer.desk, source, target_id=target, actor=cast.agent)
            merged.append(source)
            free.discard(source)
        assert await broken(database, cast) == {}
        for each in reversed(merged):
            async with database.session() as session:
                await unmerging.unmerge(session, writer.desk, each, actor=cast.agent)
        after = await photograph(database, cast)
        for name, rows in before.items():
            assert after[name] == rows, (name, after[name] - rows, rows - after[name])


async def link_some(database: Database, cast: Cast, chance: random.Random) -> None:
    for _ in range(6):
        one, other = chance.sample(cast.ticket_ids, 2)
        async with database.session() as session:
            kind = linking.Relation.related
            await linking.link(session, one, relation=kind, other_id=other, actor=cast.agent)


async def test_fifty_writers_on_the_same_tickets_break_and_lose_nothing(database: Database):
    cast, chance = await cast_of(database, 12), random.Random(4)
    many = wide(Settings(), database.dsn(), 50)
    try:
        await race(many, cast, writers=50, acts=2, seed=4)
    finally:
        await many.engine.dispose()
    assert cast.done["merge"] > 3, cast.done
    await assert_whole(database, cast)
    await undo_everything(database, cast, chance)
    await assert_whole(database, cast)


async def test_chains_of_merges_are_restored_exactly(database: Database):
    cast, chance = await cast_of(database, 6), random.Random(5)
    await race(database, cast, writers=4, acts=0, seed=5)
    writer = Writer(database, cast, 5)
    for name in ("ask", "reply", "ask", "move", "split", "ask", "reply", "split", "move", "ask"):
        await writer.act(name)
    await link_some(database, cast, chance)
    await assert_chains_are_restored(database, cast, chance, rounds=4)
    await assert_whole(database, cast)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(6))
async def test_five_processes_of_ten_writers_break_and_lose_nothing(database: Database, seed: int):
    cast, chance = await cast_of(database, 12), random.Random(seed)
    arguments = [database.dsn(), json.dumps(cast.tell()), "10", "30"]
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.technical.racing", *arguments, str(seed * 100 + number)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for number in range(5)
    ]
    for process in processes:
        told, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()[-3000:]
        report = json.loads(told)
        cast.done.update(report["done"])
        cast.said += report["said"]
    assert min(cast.done[name] for name in ("merge", "unmerge", "split", "ask", "reply")) > 10, cast.done
    cast.ticket_ids = await family(database, _account(cast))
    await assert_whole(database, cast)
    await undo_everything(database, cast, chance)
    await assert_whole(database, cast)
    await link_some(database, cast, chance)
    await assert_chains_are_restored(database, cast, chance, rounds=10)
