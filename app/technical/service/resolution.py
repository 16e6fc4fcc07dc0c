"""The resolution note of a solved ticket, as people read, correct, review and withdraw it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.identity.constants import Role
from app.identity.exceptions import UnknownAccountError
from app.identity.models import Account
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected
from app.technical.desk import Desk
from app.technical.exceptions import ResolutionNotFoundError
from app.technical.models import Resolution, Ticket
from app.technical.service.changes import get, lock, subject_of
from app.technical.service.composing import named_on
from app.technical.service.noting import PUBLISHED, STAFF, settle

SUSPENDED, WITHDRAWN = "suspended", "withdrawn"


async def show(session: AsyncSession, ticket_id: UUID, *, principal: Principal) -> tuple[Ticket, Resolution]:
    """A ticket and its note; ``TicketNotFoundError``, ``ResolutionNotFoundError``."""
    ticket = await get(session, ticket_id, principal=principal)
    return ticket, _published(await session.get(Resolution, ticket.id, populate_existing=True))


async def edit(
    session: AsyncSession,
    desk: Desk,
    ticket_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
    **texts: Any,
) -> tuple[Ticket, Resolution]:
    """Correct a note. What less than a lead corrects goes back to the staff until it is reviewed again.

    ``texts``: ``title``, ``problem``, ``solution``; UNSET stays. Errors: as ``show``, also
    ``VersionMismatchError``.
    """
    ticket, note = await _locked(session, ticket_id, actor=actor, expected=expected)
    changes = await _cleaned(session, ticket, note, texts)
    if not changes:
        return ticket, note
    if not actor.at_least(Role.lead):
        changes |= {"audience": STAFF, "reviewed_by_id": None, "reviewed_at": None}
    await change_note(session, desk, ticket, note, changes, actor=actor, type="resolution.updated")
    return ticket, note


async def review(
    session: AsyncSession,
    desk: Desk,
    ticket_id: UUID,
    *,
    audience: str,
    actor: Principal,
    expected: Expected = ANYTHING,
    **texts: Any,
) -> tuple[Ticket, Resolution]:
    """Say for whom a note is fit; for others than the staff it is found from this commit on.

    Errors: as ``edit``, and ``UnknownAccountError``.
    """
    ticket, note = await _locked(session, ticket_id, actor=actor, expected=expected)
    audience = audience.lower()
    await _check_audience(session, audience)
    changes: dict[str, Any] = await _cleaned(session, ticket, note, texts)
    changes |= {"audience": audience, "reviewed_by_id": actor.person_id, "reviewed_at": func.now()}
    await change_note(session, desk, ticket, note, changes, actor=actor, type="resolution.reviewed")
    return ticket, note


async def withdraw(
    session: AsyncSession, desk: Desk, ticket_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> None:
    """Take a note back; only solving the ticket anew makes another one. Errors: as ``edit``."""
    ticket, note = await _locked(session, ticket_id, actor=actor, expected=expected)
    await take_back(session, desk, ticket, note, WITHDRAWN, actor=actor)


async def take_back(
    session: AsyncSession, desk: Desk, ticket: Ticket, note: Resolution, state: str, *, actor: Principal
) -> None:
    """Take a locked note out of the index: ``SUSPENDED`` as it is, ``WITHDRAWN`` without its texts."""
    if note.state in (WITHDRAWN, state):
        return
    changes: dict[str, Any] = {"state": state}
    if state == WITHDRAWN:
        changes |= {"title": "", "problem": "", "solution": "", "audience": STAFF}
        changes |= {"reviewed_by_id": None, "reviewed_at": None}
    await change_note(session, desk, ticket, note, changes, actor=actor, type="resolution.withdrawn")


async def _locked(
    session: AsyncSession, ticket_id: UUID, *, actor: Principal, expected: Expected
) -> tuple[Ticket, Resolution]:
    ticket = await lock(session, ticket_id, principal=actor)
    found = await session.get(Resolution, ticket.id, with_for_update=True, populate_existing=True)
    note = _published(found)
    expected.check(note.version)
    return ticket, note


def _published(note: Resolution | None) -> Resolution:
    if note is None or note.state != PUBLISHED:
        raise ResolutionNotFoundError("This ticket has no resolution note.")
    return note


async def _cleaned(
    session: AsyncSession, ticket: Ticket, note: Resolution, texts: Mapping[str, Any]
) -> dict[str, Any]:
    """The texts that change; of nobody's name, whoever wrote them."""
    given = {name: value for name, value in texts.items() if value is not UNSET}
    if not given:
        return {}
    named = await named_on(session, ticket)
    cleaned = {name: named.removed_from(value) for name, value in given.items()}
    return {name: value for name, value in cleaned.items() if getattr(note, name) != value}


async def _check_audience(session: AsyncSession, audience: str) -> None:
    kind, _, account_id = audience.partition(":")
    if kind == "account" and await session.get(Account, UUID(account_id)) is None:
        raise UnknownAccountError("There is no such account.", account_id=account_id)


async def change_note(
    session: AsyncSession,
    desk: Desk,
    ticket: Ticket,
    note: Resolution,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    type: str,  # noqa: A002 - the event's type, as the API calls it
) -> None:
    """Change the locked note, its place in the index, and say so."""
    before = {"audience": note.audience, "state": note.state}
    for name, value in values.items():
        setattr(note, name, value)
    note.version += 1
    await session.flush()
    await session.refresh(note)
    await settle(session, desk, ticket, note, actor=actor)
    await record_note(session, type, ticket, note, actor=actor, before=before)


async def record_note(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    ticket: Ticket,
    note: Resolution,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
) -> None:
    """For the staff. Its members are no state of the ticket; who let whom read it is on the audit list."""
    now = {"audience": note.audience, "state": note.state}
    after = {"resolution": now | {"version": note.version}}
    await events.record(
        session,
        type,
        subject=subject_of(ticket.id),
        actor=actor,
        before=None if before is None else {"resolution": before},
        after=after,
        account_id=ticket.account_id,
        person_id=ticket.requester_id,
        audit=type == "resolution.reviewed",
    )
