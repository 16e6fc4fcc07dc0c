"""Tickets that are like a ticket, like a text that may become one, or like what somebody looks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.matching import DUPLICATE_FROM, Match
from app.redaction import redact
from app.technical.constants import SUBJECT_TYPE, UNFINISHED, Status
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service import signatures
from app.technical.service.access import tickets_of
from app.technical.service.changes import FRESH, subject_of
from app.technical.service.listing import TicketFilter, wanted

TYPES = (SUBJECT_TYPE,)
AUDIENCES = ("staff",)  # whose tickets a customer may compare with is the statement `within`
LOOKED_AT = 20  # nearest tickets, among which duplicates are looked for


@dataclass(frozen=True, slots=True)
class Alike:
    """A ticket, and what it has in common with what was asked about."""

    ticket: Ticket
    match: Match


async def similar(session: AsyncSession, desk: Desk, ticket: Ticket) -> list[Alike]:
    """Tickets like this one, most alike first; without what it is merged with. For the staff."""
    matches = await desk.matcher.similar(
        session,
        subject=subject_of(ticket.id),
        types=TYPES,
        audiences=AUDIENCES,
        exclude=[] if ticket.merged_into_id is None else [ticket.merged_into_id],
        limit=LOOKED_AT,
    )
    return await _tickets(session, matches)


def likely(found: Sequence[Alike], ticket: Ticket) -> list[Alike]:
    """Of similar tickets those over the calibrated threshold.

    Unfinished ones of the same requester come first, then of the same account, then the rest; likelier ones
    before others.
    """
    over = [each for each in found if each.match.probability >= DUPLICATE_FROM]
    return sorted(over, key=lambda each: (_distance(each.ticket, ticket), -each.match.probability))


async def likely_for_text(
    session: AsyncSession, desk: Desk, *, subject: str, description: str, principal: Principal
) -> list[Alike]:
    """Tickets that the caller may see and that are likely what they are about to write, likeliest first.

    The first statement comes after the text's vector, so that a fresh session holds no connection for it.
    """
    subject, description = redact(subject), redact(description)
    matches = await desk.matcher.similar(
        session,
        title=subject,
        body=description,
        signatures=signatures.found(subject, description),
        types=TYPES,
        audiences=AUDIENCES,
        within=_own(principal),
        limit=LOOKED_AT,
    )
    over = [each for each in matches if each.probability >= DUPLICATE_FROM]
    found = await _tickets(session, sorted(over, key=lambda each: -each.probability))
    return [each for each in found if each.ticket.status != Status.merged]


async def search(
    session: AsyncSession, desk: Desk, q: str, asked: TicketFilter, *, principal: Principal, limit: int
) -> list[Alike]:
    """What words and meaning find among the tickets that the caller may see and the filter wants.

    ``PermissionDeniedError`` when a customer filters by what is the staff's.
    """
    narrowed = not principal.is_staff or any(value is not None for value in structs.astuple(asked))
    matches = await desk.matcher.search(
        session,
        q,
        types=TYPES,
        audiences=AUDIENCES,
        within=wanted(principal, asked).with_only_columns(Ticket.id) if narrowed else None,
        limit=limit,
    )
    return await _tickets(session, matches)


def is_open(ticket: Ticket) -> bool:
    """Whether it is still worked on."""
    return Status(ticket.status) in UNFINISHED


def _own(principal: Principal) -> Any:
    return None if principal.is_staff else select(Ticket.id).where(tickets_of(principal))


def _distance(one: Ticket, other: Ticket) -> int:
    if is_open(one):
        if one.requester_id is not None and one.requester_id == other.requester_id:
            return 0
        if one.account_id is not None and one.account_id == other.account_id:
            return 1
    return 2


async def _tickets(session: AsyncSession, matches: Sequence[Match]) -> list[Alike]:
    statement = select(Ticket).where(Ticket.id.in_([each.id for each in matches]))
    found = {each.id: each for each in await session.scalars(statement, execution_options=FRESH)}
    return [Alike(found[each.id], each) for each in matches if each.id in found]
