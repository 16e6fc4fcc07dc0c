"""Many tickets changed in one request, each with the checks and errors of the single operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulk import BulkResult, run_bulk
from app.identity.principal import Principal
from app.preconditions import Expected, etag
from app.technical.desk import Desk
from app.technical.exceptions import MacroNotFoundError, UnknownMacroError
from app.technical.models import Macro, Ticket
from app.technical.schemas.tickets import TicketUpdate, TicketView
from app.technical.schemas.views import TicketChange
from app.technical.service import applying, assigning, changes, macros, showing, tickets, transitions
from app.technical.utils.assignees import tags_with

CHANGES = tuple(each.name for each in structs.fields(TicketUpdate))
Macros = dict[UUID, Macro | None]


async def change_tickets(
    session: AsyncSession, desk: Desk, items: Sequence[TicketChange], *, actor: Principal
) -> BulkResult[TicketView]:
    """Do each item: the macro, then the changes, then the move.

    All rows are locked before anything is done, teams and then tickets in the order of their ids, and items
    are done in that order: two requests that have tickets in common wait for each other and never for ever.
    """
    found = await _macros(session, items, actor=actor)
    teams = [macros.actions_of(each).team_id for each in found.values() if each is not None]
    await assigning.lock_teams(
        session, [*teams, *(each.team_id for each in items if each.team_id is not UNSET)]
    )
    await changes.lock_all(session, [each.ticket_id for each in items], principal=actor)

    async def one(item: TicketChange) -> TicketView:
        ticket = await _change(session, desk, item, found, actor=actor)
        return await showing.show(session, ticket, principal=actor)

    order = sorted(range(len(items)), key=lambda index: (items[index].ticket_id, index))
    result = await run_bulk(session, [items[index] for index in order], one)
    placed = [structs.replace(each, index=order[each.index]) for each in result.items]
    return structs.replace(result, items=sorted(placed, key=lambda each: each.index))


async def _change(
    session: AsyncSession, desk: Desk, item: TicketChange, found: Macros, *, actor: Principal
) -> Ticket:
    ticket = await changes.lock_open(session, item.ticket_id, principal=actor)
    if item.version is not None:
        Expected(frozenset({etag(item.version)})).check(ticket.version)
    if item.macro_id is not None:
        macro = found[item.macro_id]
        if macro is None:
            raise UnknownMacroError("There is no such macro.", macro_id=item.macro_id)
        ticket = (await applying.apply_to(session, desk, macro, ticket, actor=actor)).ticket
    given = _given(item, ticket)
    if given:
        ticket = await tickets.apply(session, desk, ticket, given, actor=actor)
    if item.status is not None and item.status != ticket.status:
        ticket = await transitions.move(session, desk, ticket, item.status, actor=actor, reason=item.reason)
    return ticket


def _given(item: TicketChange, ticket: Ticket) -> dict[str, Any]:
    given = {name: getattr(item, name) for name in CHANGES if getattr(item, name) is not UNSET}
    if item.add_tags or item.remove_tags:
        given["tags"] = tags_with(given.get("tags", ticket.tags), add=item.add_tags, remove=item.remove_tags)
    return given


async def _macros(session: AsyncSession, items: Sequence[TicketChange], *, actor: Principal) -> Macros:
    """The macros that are asked for; None: there is none for the caller."""
    found: Macros = {}
    for macro_id in {each.macro_id for each in items if each.macro_id is not None}:
        try:
            found[macro_id] = await macros.get(session, macro_id, principal=actor)
        except MacroNotFoundError:
            found[macro_id] = None
    return found
