"""Writers on a few tickets at once: in the test's own process, or as `python -m tests.technical.racing`.

Each act is one transaction with a connection of its own. What the desk refuses is refused; anything else that
goes wrong (a deadlock, a broken constraint) ends the run.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.conversations.constants import MessageKind
from app.database import Database
from app.exceptions import TrideskError
from app.identity import Principal, PrincipalKind, Role
from app.main import technical_desk
from app.technical.constants import Relation, Status
from app.technical.models import Ticket
from app.technical.service import linking, merging, replies, splitting, tickets, transitions, unmerging
from app.technical.service.changes import lock

MESSAGES = text("""
select m.id from message m join conversation c on c.id = m.conversation_id
where c.subject_type = 'ticket' and c.subject_id = :id order by m.number
""")
WEIGHTS = {"ask": 6, "reply": 4, "merge": 4, "unmerge": 4, "split": 1, "move": 2, "patch": 2, "link": 1}


@dataclass
class Cast:
    """Who acts, and on what."""

    customer: Principal
    agent: Principal
    ticket_ids: list[UUID]
    done: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)  # bodies of what was committed

    @classmethod
    def read(cls, told: dict[str, Any]) -> Cast:
        def principal(role: Role, person_id: str, account_id: str | None) -> Principal:
            return Principal(
                kind=PrincipalKind.api_key,
                role=role,
                person_id=UUID(person_id),
                account_id=UUID(account_id) if account_id else None,
                name=role,
            )

        return cls(
            principal(Role.customer, told["customer"], told["account"]),
            principal(Role.agent, told["agent"], None),
            [UUID(each) for each in told["tickets"]],
        )

    def tell(self) -> dict[str, Any]:
        return {
            "customer": str(self.customer.person_id),
            "account": str(self.customer.account_id),
            "agent": str(self.agent.person_id),
            "tickets": [str(each) for each in self.ticket_ids],
        }


class Writer:
    """One of those who write at the same time."""

    def __init__(self, database: Database, cast: Cast, seed: int) -> None:
        self.database, self.cast, self.chance = database, cast, random.Random(seed)
        self.desk = technical_desk(Settings())

    async def work(self, acts: int) -> None:
        for _ in range(acts):
            name = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            await self.act(name)

    async def act(self, name: str) -> None:
        one, other = self.chance.sample(self.cast.ticket_ids, 2)
        body = str(uuid4())
        try:
            async with self.database.session() as session:
                await getattr(self, name)(session, one, other, body)
        except TrideskError as error:
            if error.status_code >= 500:
                raise
            self.cast.done[f"{name}: {error.code}"] += 1
        else:
            self.cast.done[name] += 1
            if name in ("ask", "reply"):
                self.cast.said.append(body)

    async def ask(self, session: AsyncSession, one: UUID, _: UUID, body: str) -> None:
        await replies.write(session, self.desk, one, author=self.cast.customer, body=body)

    async def reply(self, session: AsyncSession, one: UUID, _: UUID, body: str) -> None:
        kind = MessageKind.note if self.chance.random() < 0.3 else MessageKind.public
        await replies.write(session, self.desk, one, author=self.cast.agent, body=body, kind=kind)

    async def merge(self, session: AsyncSession, one: UUID, other: UUID, _: str) -> None:
        await merging.merge(session, self.desk, one, target_id=other, actor=self.cast.agent)

    async def unmerge(self, session: AsyncSession, one: UUID, *_: Any) -> None:
        await unmerging.unmerge(session, self.desk, one, actor=self.cast.agent)

    async def split(self, session: AsyncSession, one: UUID, *_: Any) -> None:
        ids = list(await session.scalars(MESSAGES, {"id": one}))
        chosen = ids[1:][:: self.chance.randint(2, 5)] or [uuid4()]
        new = await splitting.split(
            session,
            self.desk,
            one,
            message_ids=chosen,
            subject="Split off",
            description="d",
            actor=self.cast.agent,
        )
        self.cast.ticket_ids.append(new.id)

    async def move(self, session: AsyncSession, one: UUID, *_: Any) -> None:
        to = self.chance.choice([Status.open, Status.pending, Status.on_hold, Status.solved])
        ticket = await lock(session, one, principal=self.cast.agent)
        await transitions.move(session, self.desk, ticket, to, actor=self.cast.agent)

    async def patch(self, session: AsyncSession, one: UUID, *_: Any) -> None:
        change = {"priority": self.chance.choice(["low", "normal", "high", "urgent"])}
        await tickets.update_ticket(session, self.desk, one, actor=self.cast.agent, **change)

    async def link(self, session: AsyncSession, one: UUID, other: UUID, _: str) -> None:
        kind = self.chance.choice([Relation.related, Relation.parent, Relation.duplicate])
        await linking.link(session, one, relation=kind, other_id=other, actor=self.cast.agent)


async def race(database: Database, cast: Cast, *, writers: int, acts: int, seed: int) -> None:
    """``writers`` at once, each with ``acts`` acts."""
    made = [Writer(database, cast, seed * 1000 + number) for number in range(writers)]
    await asyncio.gather(*(each.work(acts) for each in made))


def wide(settings: Settings, dsn: str, connections: int) -> Database:
    """A database with a connection for each of that many writers."""
    half = (connections + 1) // 2  # as many again may overflow
    database = Database(replace(settings, database_url=dsn, database_pool_size=half), embedded=None)
    database.open()
    return database


async def family(database: Database, account_id: UUID) -> list[UUID]:
    """All tickets of an account."""
    async with database.session() as session:
        found = await session.scalars(select(Ticket.id).where(Ticket.account_id == account_id))
        return sorted(found)


async def _main(dsn: str, told: str, writers: int, acts: int, seed: int) -> None:
    cast = Cast.read(json.loads(told))
    database = wide(Settings(), dsn, writers)
    try:
        await race(database, cast, writers=writers, acts=acts, seed=seed)
    finally:
        await database.engine.dispose()
    sys.stdout.write(json.dumps({"done": cast.done, "said": cast.said}))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])))
