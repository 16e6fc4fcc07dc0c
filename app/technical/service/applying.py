"""A macro on a ticket: looked at, and applied in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations import Posted
from app.conversations.constants import BodyFormat, MessageKind
from app.conversations.rendering import Body
from app.conversations.service.messages import rendered
from app.identity.models import Account, Person
from app.identity.principal import Principal
from app.technical.constants import OWN
from app.technical.desk import Desk
from app.technical.exceptions import TicketNotFoundError, UnknownAssigneeError, UnknownTicketError
from app.technical.models import Macro, Team, Ticket
from app.technical.schemas.macros import MacroActions
from app.technical.service import assigning, changes, macros, replies, tickets, transitions
from app.technical.utils.assignees import assignee_of, tags_with
from app.technical.utils.numbers import TICKETS
from app.technical.utils.templates import CUSTOM, custom_keys_of, fill, variables_of

COLUMNS = (
    "subject",
    "status",
    "priority",
    "severity",
    "product",
    "component",
    "product_version",
    "environment",
)


@dataclass(frozen=True, slots=True)
class Applied:
    """The ticket after a macro, and what was written on it."""

    ticket: Ticket
    posted: Posted | None


@dataclass(frozen=True, slots=True)
class Previewed:
    """What a macro would write and do."""

    body: Body
    actions: MacroActions


async def preview(
    session: AsyncSession, macro_id: UUID, *, ticket_id: UUID, principal: Principal
) -> tuple[Macro, Previewed]:
    """What ``apply`` would do; nothing is done. ``MacroNotFoundError``, ``UnknownTicketError``,
    ``MessageTooLargeError``.
    """
    macro = await macros.get(session, macro_id, principal=principal)
    try:
        ticket = await changes.get(session, ticket_id, principal=principal)
    except TicketNotFoundError:
        raise UnknownTicketError("There is no such ticket.", ticket_id=ticket_id) from None
    actions = macros.actions_of(macro)
    if actions.assignee_id == OWN and principal.person_id is not None:
        actions = structs.replace(actions, assignee_id=str(principal.person_id))
    text = await text_of(session, macro, ticket, principal=principal)
    return macro, Previewed(await rendered(text, BodyFormat.markdown), actions)


async def apply(
    session: AsyncSession,
    desk: Desk,
    macro_id: UUID,
    *,
    ticket_id: UUID,
    actor: Principal,
    body: str | None = None,
) -> Applied:
    """Write and change what the macro says. ``body``: what to write in the place of its text.

    Errors: ``MacroNotFoundError``, ``UnknownTicketError``, and those of changing, moving and writing on the
    ticket; after any of them nothing is done.
    """
    macro = await macros.get(session, macro_id, principal=actor)
    await assigning.lock_teams(session, [macros.actions_of(macro).team_id])
    try:
        ticket = await changes.lock_open(session, ticket_id, principal=actor)
    except TicketNotFoundError:
        raise UnknownTicketError("There is no such ticket.", ticket_id=ticket_id) from None
    return await apply_to(session, desk, macro, ticket, actor=actor, body=body)


async def apply_to(
    session: AsyncSession,
    desk: Desk,
    macro: Macro,
    ticket: Ticket,
    *,
    actor: Principal,
    body: str | None = None,
) -> Applied:
    """``apply`` to a locked ticket that still changes. Its text is filled in from the ticket as it was."""
    actions = macros.actions_of(macro)
    text = await text_of(session, macro, ticket, principal=actor) if body is None else body
    ticket = await tickets.apply(session, desk, ticket, _changes(ticket, actions, actor), actor=actor)
    status = actions.status if actions.status != ticket.status else None
    if not text.strip():
        if status is not None:
            ticket = await transitions.move(session, desk, ticket, status, actor=actor)
        return Applied(ticket, None)
    written = await replies.write(
        session,
        desk,
        ticket.id,
        author=actor,
        status=status,
        body=text,
        kind=MessageKind(macro.kind),
        body_format=BodyFormat.markdown,
    )
    return Applied(written.ticket, written.posted)


async def text_of(session: AsyncSession, macro: Macro, ticket: Ticket, *, principal: Principal) -> str:
    """The macro's text as Markdown, its variables filled in."""
    used = variables_of(macro.body)
    values: dict[str, str | None] = {f"ticket.{name}": getattr(ticket, name) for name in COLUMNS}
    values |= {"ticket.number": TICKETS.shown(ticket.number), "agent.name": principal.name}
    values |= {f"{CUSTOM}{key}": _as_text(ticket.custom.get(key)) for key in custom_keys_of(macro.body)}
    for name, column, identity in (
        ("requester.name", Person.name, ticket.requester_id),
        ("account.name", Account.name, ticket.account_id),
        ("team.name", Team.name, ticket.team_id),
    ):
        if name in used and identity is not None:
            values[name] = await session.scalar(select(column).where(column.class_.id == identity))
    return fill(macro.body, values)


def _changes(ticket: Ticket, actions: MacroActions, actor: Principal) -> dict[str, Any]:
    """What ``tickets.apply`` takes. ``UnknownAssigneeError`` for ``me`` who is no person."""
    given: dict[str, Any] = {}
    for name in ("priority", "severity", "team_id"):
        if getattr(actions, name) is not None:
            given[name] = getattr(actions, name)
    if actions.custom:
        given["custom"] = actions.custom
    if actions.add_tags or actions.remove_tags:
        given["tags"] = tags_with(ticket.tags, add=actions.add_tags, remove=actions.remove_tags)
    if actions.assignee_id is not None:
        if actions.assignee_id == OWN and actor.person_id is None:
            raise UnknownAssigneeError("The caller is no person whom a ticket could be assigned to.")
        given["assignee_id"] = assignee_of(actions.assignee_id, me=actor.person_id)
    return given


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None if value is None else str(value)
