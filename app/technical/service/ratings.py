"""How requesters found their tickets solved (CSAT)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.redaction import redact
from app.technical.exceptions import NotRateableError, RatingNotFoundError
from app.technical.models import Rating
from app.technical.service.changes import get, lock, record

WINDOW = timedelta(days=30)


async def rate(
    session: AsyncSession, ticket_id: UUID, *, actor: Principal, score: int, comment: str | None
) -> Rating:
    """The requester's verdict on the last solve; again takes the place of the one before.

    Errors: ``TicketNotFoundError``, ``PermissionDeniedError`` for anybody else who sees the ticket,
    ``NotRateableError`` before it is solved and a month later.
    """
    ticket = await lock(session, ticket_id, principal=actor)
    if actor.person_id is None or actor.person_id != ticket.requester_id:
        raise PermissionDeniedError("Only its requester rates a ticket.")
    if ticket.solved_at is None or datetime.now(UTC) - ticket.solved_at > WINDOW:
        raise NotRateableError("A ticket can be rated when it is solved, for 30 days.")
    values: dict[str, Any] = {
        "person_id": actor.person_id,
        "score": score,
        "comment": redact(comment) if comment else None,
        "solved_at": ticket.solved_at,
    }
    again = values | {"version": Rating.version + 1, "updated_at": func.now()}
    statement = insert(Rating).values(ticket_id=ticket.id, **values)
    statement = statement.on_conflict_do_update(index_elements=["ticket_id"], set_=again)
    fresh = {"populate_existing": True}
    rating = (await session.scalars(statement.returning(Rating), execution_options=fresh)).one()
    told = {"rating": {"score": score, "version": rating.version}}
    await record(session, "ticket.rated", ticket, actor=actor, after=told)
    return rating


async def show(session: AsyncSession, ticket_id: UUID, *, principal: Principal) -> Rating:
    """The rating of a ticket that the caller sees; ``TicketNotFoundError``, ``RatingNotFoundError``."""
    ticket = await get(session, ticket_id, principal=principal)
    rating = await session.get(Rating, ticket.id, populate_existing=True)
    if rating is None:
        raise RatingNotFoundError("This ticket has not been rated.")
    return rating
