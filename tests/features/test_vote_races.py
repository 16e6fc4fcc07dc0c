"""Votes, removals, merges, unmerges at once: whoever looks sees the distinct voters, and no vote is lost.

Real commits, a connection a writer; in the full size from five processes.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from app.config import Settings
from app.database import Database
from app.features.exceptions import NotMergedError
from app.features.service import boards, merging, requests
from app.features.service.groups import count_voters
from app.identity import Role
from app.identity import service as identity
from app.main import features_desk
from tests.features.racing import EVENTS, LINKS, VOTES, WRONG, Cast, fold, race, root_of
from tests.technical.racing import wide

ROOT = Path(__file__).parent.parent.parent


async def cast_of(database: Database, *, requests_: int = 8, people: int = 40) -> Cast:
    """Requests of one board, and people who may vote for them."""
    name = str(uuid4())
    async with database.session() as session:
        agent = await identity.upsert_person(session, f"agent {name}", role=Role.agent)
        cast = Cast(uuid4(), agent.id, [], [])
        made = await boards.create(
            session,
            actor=cast.agent,
            slug=f"race-{name}",
            name=name,
            description="",
            account_ids=[],
            labels={},
        )
        cast.board_id = made.id
        for number in range(people):
            cast.person_ids.append((await identity.upsert_person(session, f"{name} {number}")).id)
        desk, agent_ = features_desk(database.settings), cast.agent
        for number in range(requests_):
            given = {"board_id": made.id, "title": f"{name} {number}", "body": "", "tags": []}
            one = await requests.create(session, desk, actor=agent_, **given)
            cast.request_ids.append(one.request.id)
    return cast


class Watcher:
    """Looks all the while, on a connection of its own."""

    def __init__(self, database: Database, cast: Cast) -> None:
        self._database, self._cast = database, cast
        self.looks = self.wrong = 0
        self._over = asyncio.Event()

    async def __aenter__(self) -> Watcher:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._looking

    async def _look(self) -> None:
        while not self._over.is_set():
            async with self._database.session() as session:
                seen = (await session.execute(WRONG, {"board": self._cast.board_id})).one()
            self.looks += 1
            self.wrong += seen.wrong
            assert seen.looked > 0


async def assert_as_told(database: Database, cast: Cast) -> None:
    """Votes, merges and counts are what folding the events gives; each pointer is to a root."""
    async with database.session() as session:
        board = {"board": cast.board_id}
        events = (await session.execute(EVENTS, board)).all()
        held = {tuple(each) for each in await session.execute(VOTES, board)}
        links = {each.id: each for each in await session.execute(LINKS, board)}
    told, edges = fold(events)
    first = {(each, cast.agent_id) for each in cast.request_ids}  # an author's vote comes with the request
    assert held == told | first
    for each in cast.request_ids:
        root = root_of(each, edges)
        assert links[each].merged_into_id == (root if root != each else None)
    for each in {root_of(each, edges) for each in cast.request_ids}:
        voters = {person for request, person in held if root_of(request, edges) == each}
        assert links[each].votes == len(voters)


async def undo_everything(database: Database, cast: Cast, chance: random.Random) -> None:
    """In any order: then each request has exactly the voters of its own rows."""
    for each in chance.sample(cast.request_ids, len(cast.request_ids)):
        try:
            async with database.session() as session:
                await merging.unmerge(session, each, actor=cast.agent)
        except NotMergedError:
            continue
    async with database.session() as session:
        held = list(await session.execute(VOTES, {"board": cast.board_id}))
        for each in cast.request_ids:
            own = {person for request, person in held if request == each}
            assert await count_voters(session, each) == len(own)


async def test_many_writers_on_the_same_requests_break_and_lose_nothing(database: Database):
    cast, many = await cast_of(database), wide(Settings(), database.dsn(), 26)
    try:
        async with Watcher(many, cast) as watcher:
            done = await race(many, cast, writers=25, acts=12, seed=1)
    finally:
        await many.engine.dispose()
    assert min(done[name] for name in ("cast", "withdraw", "merge", "unmerge")) > 3, done
    assert (watcher.wrong, watcher.looks > 10) == (0, True)
    await assert_as_told(database, cast)
    await undo_everything(database, cast, random.Random(1))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(6))
async def test_writers_of_five_processes_break_and_lose_nothing(database: Database, seed: int):
    """5,000 acts, 50 at any moment: what the server has connections for."""
    cast = await cast_of(database, requests_=12, people=200)
    arguments = [database.dsn(), cast.tell(), "10", "100"]
    async with Watcher(database, cast) as watcher:
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.features.racing", *arguments, str(seed * 100 + number)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            for number in range(5)
        ]
        done: dict[str, int] = {}
        for process in processes:
            told, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()[-3000:]
            for name, count in json.loads(told).items():
                done[name] = done.get(name, 0) + count
    assert min(done[name] for name in ("cast", "withdraw", "merge", "unmerge")) > 20, done
    assert (watcher.wrong, watcher.looks > 100) == (0, True)
    await assert_as_told(database, cast)
    await undo_everything(database, cast, random.Random(seed))
