"""What the desk knows of a person: handed out, or taken away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events, matching
from app.identity.principal import SYSTEM
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service import indexing, own
from app.technical.service.changes import FRESH, STATE, record, subject_of

ERASED = "(erased)"
Rows = Mapping[str, Sequence[Mapping[str, Any]]]

SHOWN = (
    *(Ticket.id, Ticket.number, Ticket.subject, Ticket.description, Ticket.status, Ticket.environment),
    *(Ticket.custom, Ticket.created_at),
)


@dataclass(slots=True)
class TechnicalData:
    """``knowledge.PersonalData``: tickets that somebody asked for. ``desk``: as the app has it by then."""

    desk: Callable[[], Desk]
    name: str = "technical"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Lock their tickets: a ticket is locked before its people, by everybody."""
        await session.execute(_tickets_of(person_id).with_only_columns(Ticket.id).with_for_update())

    async def export(self, session: AsyncSession, person_id: UUID) -> Rows:
        """The tickets that they asked for; what was said on them is told by the conversations."""
        found = await session.execute(
            select(*SHOWN).where(Ticket.requester_id == person_id).order_by(Ticket.id)
        )
        asked_for = [msgspec.to_builtins(dict(row)) for row in found.mappings()]
        return {"tickets": asked_for} | await own.export(session, person_id)

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """Their tickets stay, as numbers without words; likeness, notes and the words of events go.

        Who worked on a ticket stays on it by id: that of a person without a name.
        """
        tickets = (await session.scalars(_tickets_of(person_id).with_for_update())).all()
        emptied = 0
        for ticket in tickets:
            await indexing.erased(session, self.desk(), ticket, actor=SYSTEM)
            emptied += await events.forget(session, subject_of(ticket.id))
            await _empty(session, ticket)
        if tickets:
            await matching.forget_words(session)
        gone = await own.erase(session, person_id)
        return {"tickets": len(tickets), "events": emptied} | gone


def _tickets_of(person_id: UUID) -> Select[Ticket]:
    return select(Ticket).where(Ticket.requester_id == person_id).order_by(Ticket.id)


async def _empty(session: AsyncSession, ticket: Ticket) -> None:
    """What remains is told by one more event: those before it say nothing any more."""
    statement = (
        update(Ticket)
        .where(Ticket.id == ticket.id)
        .values(
            subject=ERASED,
            description="",
            environment=None,
            custom={},
            signatures=[],
            requester_id=None,
            external_id=None,
            version=Ticket.version + 1,
        )
        .returning(Ticket)
    )
    left = (await session.scalars(statement, execution_options=FRESH)).one()
    state = {name: getattr(left, name) for name in STATE}
    await record(session, "ticket.erased", left, actor=SYSTEM, after=state)
