"""Links between tickets: one row a link, seen from both ends.

A row says what ``other_id`` is to ``ticket_id``; of the symmetric kind the smaller id stands first, so that
each link has one row. Parents have no cycles: whoever sets one, or moves one by a merge, holds
``one_at_a_time``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct
from sqlalchemy import and_, delete, func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.identity.principal import Principal
from app.technical.constants import LINKS_MAX, LinkKind, Relation, Status
from app.technical.exceptions import (
    InvalidLinkError,
    LinkNotFoundError,
    TicketMergedError,
    TicketNotFoundError,
    TooManyLinksError,
    UnknownTicketError,
)
from app.technical.models import Ticket, TicketLink
from app.technical.service.access import tickets_of
from app.technical.service.changes import get, lock_all, subject_of

STRUCTURE_LOCK = 0x7472_6964_736B_7401
CLAIM = text("select pg_advisory_xact_lock(:key)")

INVERSE: Mapping[LinkKind, Relation] = MappingProxyType(
    {
        LinkKind.related: Relation.related,
        LinkKind.parent: Relation.child,
        LinkKind.duplicate: Relation.duplicated_by,
        LinkKind.follow_up: Relation.followed_up_by,
    }
)
TURNED = {inverse: kind for kind, inverse in INVERSE.items() if inverse is not Relation.related}

# Whether :wanted is among :start and its ancestors.
DESCENDS = text("""
with recursive line (id) as (
    select CAST(:start AS uuid)
    union
    select l.other_id from ticket_link l join line on l.ticket_id = line.id where l.kind = 'parent'
)
select exists (select from line where id = CAST(:wanted AS uuid))
""")


class Row(Struct, frozen=True, kw_only=True, order=True):
    """A link as it is stored."""

    ticket_id: UUID
    kind: LinkKind
    other_id: UUID


class Linked(NamedTuple):
    """A link as one of its ends sees it."""

    relation: Relation
    other: Ticket
    link: TicketLink


async def one_at_a_time(session: AsyncSession) -> None:
    """Merges, their undoing and new parents come one after another; taken before any ticket's lock."""
    await session.execute(CLAIM, {"key": STRUCTURE_LOCK})


def row_of(ticket_id: UUID, relation: Relation, other_id: UUID) -> Row:
    """The row of a link that ``ticket_id`` names like this."""
    if relation in TURNED:
        return Row(ticket_id=other_id, kind=TURNED[relation], other_id=ticket_id)
    ends = (ticket_id, other_id)
    if relation is Relation.related:
        ends = (min(ends), max(ends))
    return Row(ticket_id=ends[0], kind=LinkKind(relation), other_id=ends[1])


def relation_of(row: Row | TicketLink, ticket_id: UUID) -> Relation:
    """What the other end is to this one."""
    kind = LinkKind(row.kind)
    return Relation(kind) if row.ticket_id == ticket_id else INVERSE[kind]


async def link(
    session: AsyncSession, ticket_id: UUID, *, relation: Relation, other_id: UUID, actor: Principal
) -> Linked:
    """Link two tickets; once more changes nothing.

    Errors: ``TicketNotFoundError``, ``UnknownTicketError`` (the other), ``TicketMergedError`` (either; links
    belong to its target), ``InvalidLinkError`` (to itself, or a cycle of parents), ``TooManyLinksError``.
    """
    row = row_of(ticket_id, relation, other_id)
    if row.kind is LinkKind.parent:
        await one_at_a_time(session)
    ticket, other = await _lock_both(session, ticket_id, other_id, actor=actor)
    for each in (ticket, other):
        _refuse_merged(each)
    if ticket.id == other.id:
        raise InvalidLinkError("A ticket is not linked to itself.")
    if row.kind is LinkKind.parent and await is_ancestor(session, row.ticket_id, of=row.other_id):
        raise InvalidLinkError("That would make a ticket its own ancestor.", other_id=other_id)
    if await add(session, [row]):
        for each in (ticket, other):
            await _check_room(session, each.id)
        await _tell(session, "ticket.linked", ticket, other, relation, actor=actor)
        await _tell(session, "ticket.linked", other, ticket, relation_of(row, other.id), actor=actor)
    found = await session.scalars(select(TicketLink).where(_is(row)))
    return Linked(relation, other, found.one())


async def unlink(
    session: AsyncSession, ticket_id: UUID, other_id: UUID, *, relation: Relation | None, actor: Principal
) -> None:
    """Take links between two tickets away: one, or without ``relation`` all.

    Errors: ``TicketNotFoundError``, ``TicketMergedError``, ``LinkNotFoundError``.
    """
    ticket, other = await _lock_both(session, ticket_id, other_id, actor=actor, missing=LinkNotFoundError)
    _refuse_merged(ticket)
    found = [
        each
        for each in await rows_of(session, ticket_id)
        if other_id in (each.ticket_id, each.other_id) and relation in (None, relation_of(each, ticket_id))
    ]
    if not found:
        raise LinkNotFoundError("The tickets are not linked like this.")
    await remove(session, found)
    for each in found:
        for one, two in ((ticket, other), (other, ticket)):
            await _tell(session, "ticket.unlinked", one, two, relation_of(each, one.id), actor=actor)


async def list_links(session: AsyncSession, ticket_id: UUID, *, principal: Principal) -> list[Linked]:
    """The links of a ticket to others that the caller sees too, oldest first; ``TicketNotFoundError``."""
    ticket = await get(session, ticket_id, principal=principal)
    other_end = or_(
        and_(TicketLink.ticket_id == ticket.id, Ticket.id == TicketLink.other_id),
        and_(TicketLink.other_id == ticket.id, Ticket.id == TicketLink.ticket_id),
    )
    statement = select(TicketLink, Ticket).join(Ticket, other_end).where(tickets_of(principal))
    statement = statement.order_by(TicketLink.created_at, TicketLink.kind, Ticket.id)
    found = await session.execute(statement)
    return [Linked(relation_of(row, ticket.id), other, row) for row, other in found]


async def is_ancestor(session: AsyncSession, ticket_id: UUID, *, of: UUID) -> bool:
    """Whether the first is the second, its parent, its parent's parent and so on."""
    return bool(await session.scalar(DESCENDS, {"start": of, "wanted": ticket_id}))


async def rows_of(session: AsyncSession, ticket_id: UUID) -> list[Row]:
    """All links of a ticket, in a fixed order."""
    columns = (TicketLink.ticket_id, TicketLink.kind, TicketLink.other_id)
    ends = or_(TicketLink.ticket_id == ticket_id, TicketLink.other_id == ticket_id)
    found = await session.execute(select(*columns).where(ends))
    return sorted(Row(ticket_id=one, kind=LinkKind(kind), other_id=two) for one, kind, two in found)


async def add(session: AsyncSession, rows: Sequence[Row]) -> list[Row]:
    """Insert rows; those that were not there before."""
    if not rows:
        return []
    values = [_values(each) for each in rows]
    statement = insert(TicketLink).values(values).on_conflict_do_nothing()
    made = await session.execute(
        statement.returning(TicketLink.ticket_id, TicketLink.kind, TicketLink.other_id)
    )
    return sorted(Row(ticket_id=one, kind=LinkKind(kind), other_id=two) for one, kind, two in made)


async def remove(session: AsyncSession, rows: Iterable[Row]) -> None:
    """Delete rows; those that are gone already are passed over."""
    keys = [(each.ticket_id, each.kind, each.other_id) for each in rows]
    if keys:
        columns = tuple_(TicketLink.ticket_id, TicketLink.kind, TicketLink.other_id)
        await session.execute(delete(TicketLink).where(columns.in_(keys)))


def owner_of(ticket: Ticket) -> tuple[str, UUID] | None:
    """The customer whose ticket it is: an account, or a person who has none; None: nobody known."""
    if ticket.account_id is not None:
        return "account", ticket.account_id
    return None if ticket.requester_id is None else ("person", ticket.requester_id)


async def _lock_both(
    session: AsyncSession,
    ticket_id: UUID,
    other_id: UUID,
    *,
    actor: Principal,
    missing: type[LinkNotFoundError | UnknownTicketError] = UnknownTicketError,
) -> tuple[Ticket, Ticket]:
    found = await lock_all(session, [ticket_id, other_id], principal=actor)
    if ticket_id not in found:
        raise TicketNotFoundError("There is no such ticket.")
    if other_id not in found:
        raise missing("There is no such other ticket.", other_id=other_id)
    return found[ticket_id], found[other_id]


def _refuse_merged(ticket: Ticket) -> None:
    """A closed one may be linked: its links are no part of it."""
    if ticket.status == Status.merged:
        raise TicketMergedError("This ticket was merged into another one.", target_id=ticket.merged_into_id)


async def _check_room(session: AsyncSession, ticket_id: UUID) -> None:
    ends = or_(TicketLink.ticket_id == ticket_id, TicketLink.other_id == ticket_id)
    if (await session.scalar(select(func.count()).select_from(TicketLink).where(ends)) or 0) > LINKS_MAX:
        raise TooManyLinksError(f"A ticket has {LINKS_MAX} links at most.", maximum=LINKS_MAX)


async def _tell(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    ticket: Ticket,
    other: Ticket,
    relation: Relation,
    *,
    actor: Principal,
) -> None:
    """Customers see links among their own tickets only."""
    told = {"kind": relation, "other_id": other.id}
    owner = owner_of(ticket)
    await events.record(
        session,
        type,
        subject=subject_of(ticket.id),
        actor=actor,
        before=told if type == "ticket.unlinked" else None,
        after=None if type == "ticket.unlinked" else told,
        account_id=ticket.account_id,
        person_id=ticket.requester_id,
        customer_visible=owner is not None and owner == owner_of(other),
    )


def _is(row: Row) -> Any:
    return and_(
        TicketLink.ticket_id == row.ticket_id,
        TicketLink.kind == row.kind,
        TicketLink.other_id == row.other_id,
    )


def _values(row: Row) -> dict[str, Any]:
    return {"ticket_id": row.ticket_id, "kind": row.kind, "other_id": row.other_id}
