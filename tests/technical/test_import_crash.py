"""Killed in the midst of an import, whoever goes on takes each row once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar
from sqlalchemy import text

from app.database import Database
from tests.callers import MakeCaller
from tests.technical.folding import rebuild, state_of
from tests.technical.imports import Desk, jsonl

ROOT = Path(__file__).parents[2]
SECONDS = 60


def row(number: int, origin: str) -> dict[str, Any]:
    said = [{"id": place, "body": f"Message {place} of {number}"} for place in range(3)]
    return {
        "id": number,
        "subject": f"Ticket {number}" if number % 50 else None,
        "status": "odd" if number % 50 == 0 else "open" if number % 25 == 1 else "closed",
        "requester_email": f"p{number % 40}-{origin}@example.com",
        "organization": {"name": f"Account {number % 10} {origin}"},
        "created_at": "2025-01-01T00:00:00Z",
        "comments": said,
    }


async def work_and_be_killed(database: Database, import_id: str, *, batches: int) -> None:
    """A process of its own, killed somewhere in the batch after so many."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.technical.importing_process", import_id),
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database.dsn(), "HOME": "/"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            for _ in range(batches):
                assert await process.stdout.readline() == b"taken\n"
        await asyncio.sleep(random.uniform(0, 0.08))  # anywhere in the next one
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def import_through_kills(desk: Desk, *, rows: int, kills: int) -> None:
    content = jsonl(*(row(number, desk.origin) for number in range(1, rows + 1)))
    import_id = (await desk.send(content)).json()["id"]
    for _ in range(kills):
        await work_and_be_killed(desk.database, import_id, batches=random.randint(1, 4))
    between = await desk.shown(import_id)
    assert between["status"] == "running"
    assert 0 < between["rows_done"] < rows
    await desk.importer.run(UUID(import_id), seconds=SECONDS)
    done, bad = await desk.shown(import_id), rows // 50
    assert (done["status"], done["rows_done"], done["rows_total"]) == ("done", rows, rows)
    assert (done["created"], done["failed"], done["unchanged"]) == (rows - bad, bad, 0)
    assert done["messages"] == 3 * (rows - bad)
    assert await desk.count() == (rows - bad, 3 * (rows - bad))
    assert len(await desk.errors(import_id)) == bad
    await check_people(desk)
    ticket = await desk.ticket("1")
    assert (await rebuild(desk.database, ticket["id"])) == {1: await state_of(desk.database, ticket["id"])}
    again = await desk.run(content)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, rows - bad)


async def check_people(desk: Desk) -> None:
    """Each person and account once, and one event of each ticket."""
    async with desk.database.session() as session:
        people = await session.scalar(
            text("select count(*) from person where email like :of"), {"of": f"%-{desk.origin}@example.com"}
        )
        accounts = await session.scalar(
            text("select count(*) from account where name like :of"), {"of": f"Account % {desk.origin}"}
        )
        twice = await session.scalar(
            text(
                "select count(*) from (select e.subject_id from event e join ticket t on t.id = e.subject_id"
                " where t.origin = :of and e.type = 'ticket.imported' group by 1 having count(*) > 1) x"
            ),
            {"of": desk.origin},
        )
    assert (people, accounts, twice) == (40, 10, 0)


@pytest.fixture
async def desk(app: Litestar, database: Database, caller: MakeCaller) -> Desk:
    lead = await caller("lead")
    return Desk(app, database, lead.client, f"origin-{uuid4().hex[:12]}")


async def test_killed_and_gone_on_with_an_import_takes_each_row_once(desk):
    await import_through_kills(desk, rows=300, kills=2)


@pytest.mark.proof
async def test_killed_often_a_large_import_takes_each_row_once(desk):
    await import_through_kills(desk, rows=3_000, kills=20)
