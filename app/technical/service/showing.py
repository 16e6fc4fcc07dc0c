"""Tickets as the API shows them: customers see nothing of what is the staff's."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.pagination import Page
from app.technical.models import Ticket
from app.technical.schemas.tickets import TicketView
from app.technical.service import customs
from app.technical.service.listing import TICKETS, TicketFilter, wanted
from app.technical.utils.numbers import TICKETS as NUMBERS

FIELDS = [each for each in structs.fields(TicketView) if each.name != "number"]


async def show_all(
    session: AsyncSession, tickets: Sequence[Ticket], *, principal: Principal
) -> list[TicketView]:
    """Tickets, in their order."""
    visible = await customs.visible(session, principal=principal)
    return [_view(each, visible, principal) for each in tickets]


async def show(session: AsyncSession, ticket: Ticket, *, principal: Principal) -> TicketView:
    """One ticket."""
    return (await show_all(session, [ticket], principal=principal))[0]


async def page(
    session: AsyncSession,
    asked: TicketFilter,
    *,
    principal: Principal,
    sort: str | None,
    total: bool,
    limit: int,
    cursor: str | None,
) -> Page[TicketView]:
    """One page of what is wanted; ``InvalidError`` for an unknown sort or another list's cursor."""
    found = await TICKETS.fetch(
        session,
        wanted(principal, asked),
        limit=limit,
        sort=sort,
        cursor=cursor,
        filters=structs.asdict(asked),
        total=total,
    )
    shown = await show_all(session, found.rows, principal=principal)
    return Page(items=shown, next_cursor=found.next_cursor, total=found.total)


def _view(ticket: Ticket, visible: frozenset[str] | None, principal: Principal) -> TicketView:
    values = {each.name: getattr(ticket, each.name) for each in FIELDS}
    if visible is not None:
        values["custom"] = {key: value for key, value in ticket.custom.items() if key in visible}
    if not principal.is_staff:
        values |= {"tags": [], "signatures": []}
        values |= dict.fromkeys(("assignee_id", "team_id", "issue_id", "origin", "external_id"))
    return convert(values | {"number": NUMBERS.shown(ticket.number)}, TicketView)
