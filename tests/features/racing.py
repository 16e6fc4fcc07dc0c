"""Writers that vote, take votes back, merge and undo merges at random, each on a connection of its own.

As a program: ``python -m tests.features.racing <dsn> <cast as JSON> <writers> <acts> <seed>`` prints what it
did. What was done in which order is read off the event log afterwards: an event is numbered while the locks
of its change are held, so that folding events by their numbers tells what the state must be.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.features.exceptions import NotMergedError, RequestMergedError
from app.features.service import merging, votes
from app.identity import Principal, PrincipalKind, Role
from tests.technical.racing import wide

# Roots whose shown count is not their group's distinct voters; looked at in one statement, hence one moment.
WRONG = text("""
select count(*) as looked, count(*) filter (where r.votes <> (
    select count(distinct v.person_id) from feature_vote v join feature_request m on m.id = v.request_id
    where m.id = r.id or m.merged_into_id = r.id)) as wrong
from feature_request r where r.board_id = :board and r.merged_into_id is null
""")
EVENTS = text("""
select e.type, e.subject_id, e.before, e.after from event e
join feature_request r on r.id = e.subject_id where r.board_id = :board order by e.number
""")
VOTES = text("""
select v.request_id, v.person_id from feature_vote v
join feature_request r on r.id = v.request_id where r.board_id = :board
""")
LINKS = text("select id, merged_into_id, votes from feature_request where board_id = :board")
T = TypeVar("T")
WEIGHTS = {"cast": 10, "withdraw": 6, "merge": 3, "unmerge": 3}


@dataclass
class Cast:
    """Who does what to which requests."""

    board_id: UUID
    agent_id: UUID
    request_ids: list[UUID]
    person_ids: list[UUID]

    def tell(self) -> str:
        return json.dumps(vars(self), default=str)

    @classmethod
    def read(cls, told: str) -> Cast:
        given: dict[str, Any] = json.loads(told)
        return cls(
            UUID(given["board_id"]),
            UUID(given["agent_id"]),
            *([UUID(each) for each in given[name]] for name in ("request_ids", "person_ids")),
        )

    @property
    def agent(self) -> Principal:
        return Principal(
            kind=PrincipalKind.system,
            role=Role.agent,
            person_id=self.agent_id,
            account_id=None,
            name="agent",
        )


async def act(database: Database, cast: Cast, chance: random.Random) -> str:
    """One random act in a transaction of its own; what it was."""
    name = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    request_id, other = chance.sample(cast.request_ids, 2)
    person_id = chance.choice(cast.person_ids)
    try:
        async with database.session() as session:
            if name == "cast":
                await votes.cast(session, request_id, person_id, actor=cast.agent)
            elif name == "withdraw":
                await votes.withdraw(session, request_id, person_id, actor=cast.agent)
            elif name == "merge":
                await merging.merge(session, request_id, other, actor=cast.agent)
            else:
                await merging.unmerge(session, request_id, actor=cast.agent)
    except (RequestMergedError, NotMergedError):
        return f"refused {name}"
    return name


async def race(database: Database, cast: Cast, *, writers: int, acts: int, seed: int) -> Counter[str]:
    """All at once; how often each act was done."""

    async def write(number: int) -> Counter[str]:
        chance = random.Random(seed * 1000 + number)
        return Counter([await act(database, cast, chance) for _ in range(acts)])

    done: Counter[str] = Counter()
    for each in await asyncio.gather(*(write(number) for number in range(writers))):
        done += each
    return done


def fold(events: Any) -> tuple[set[tuple[UUID, UUID]], dict[UUID, UUID]]:
    """The votes (request, person) and the standing merges (source to target) that events tell of."""
    held: set[tuple[UUID, UUID]] = set()
    edges: dict[UUID, UUID] = {}
    for type_, subject, before, after in events:
        match type_:
            case "feature_request.voted":
                held.add((subject, UUID(after["voter_id"])))
            case "feature_request.unvoted":
                group = {each for each in all_of(held, edges) if root_of(each, edges) == subject} | {subject}
                held -= {(each, UUID(before["voter_id"])) for each in group}
            case "feature_request.merged":
                edges[subject] = UUID(after["merged_into_id"])
            case "feature_request.unmerged":
                del edges[subject]
    return held, edges


def all_of(held: set[tuple[UUID, UUID]], edges: dict[UUID, UUID]) -> set[UUID]:
    return {request for request, _ in held} | set(edges)


def root_of(request_id: T, edges: dict[T, T]) -> T:
    """The end of the chain of merges."""
    while request_id in edges:
        request_id = edges[request_id]
    return request_id


async def main(dsn: str, told: str, writers: int, acts: int, seed: int) -> None:
    database = wide(Settings(), dsn, writers)
    try:
        done = await race(database, Cast.read(told), writers=writers, acts=acts, seed=seed)
    finally:
        await database.engine.dispose()
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])))
