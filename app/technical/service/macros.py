"""Macros: defined, and found by who may use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import BODY_MAX_BYTES
from app.identity.principal import Principal
from app.identity.utils import clean_text
from app.listing import Listed, Listing
from app.preconditions import ANYTHING, Expected
from app.redaction import redact
from app.technical.constants import MACROS_MAX, NAME_MAX, Status
from app.technical.exceptions import InvalidDefinitionError, MacroNotFoundError
from app.technical.models import Macro, TicketField
from app.technical.schemas.macros import MacroActions
from app.technical.service import assigning, customs, sharing
from app.technical.service.configuring import Configured
from app.technical.utils.assignees import assignee_of
from app.technical.utils.templates import custom_keys_of, has_loose_braces, unknown_variables_of

CONFIGURED = Configured(
    model=Macro,
    name="macro",
    told=("name", "description", "body", "kind", "actions", "visibility", "owner_id", "team_id"),
    missing=MacroNotFoundError,
    maximum=MACROS_MAX,
    hashed=("body",),
)
MACROS = Listing(
    Macro,
    sorts={"created_at": Macro.created_at, "updated_at": Macro.updated_at, "name": Macro.name},
    default="name",
)
MOVES = frozenset({Status.open, Status.pending, Status.on_hold, Status.solved, Status.closed})


async def create(session: AsyncSession, *, actor: Principal, **given: Any) -> Macro:
    """A new macro. ``InvalidDefinitionError``, ``InvalidFieldError``, ``UnknownTeamError``,
    ``UnknownAssigneeError``, ``PermissionDeniedError``, ``LimitReachedError``.
    """
    whose = await sharing.settled(
        session, visibility=given.pop("visibility"), team_id=given.pop("team_id"), actor=actor
    )
    values = await _cleaned(session, given, actor=actor)
    _check(values["body"], values["actions"])
    row = await CONFIGURED.create(session, values | whose, actor=actor)
    assert row is not None  # nothing of it is unique but its id
    return row


async def get(session: AsyncSession, macro_id: UUID, *, principal: Principal) -> Macro:
    """The macro; ``MacroNotFoundError`` also when it is not for the caller."""
    return await CONFIGURED.get(session, macro_id, sharing.seen_by(Macro, principal))


async def list_page(session: AsyncSession, *, principal: Principal, **wanted: Any) -> Listed[Macro]:
    """One page of those that the caller may use, by name unless sorted otherwise; ``sharing.Wanted``."""
    return await sharing.page(
        session,
        MACROS,
        Macro,
        sharing.Wanted(**wanted),
        principal=principal,
        searched=(Macro.name, Macro.description),
    )


async def change(
    session: AsyncSession, macro_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> Macro:
    """Change what is given and not UNSET. Errors: those of ``create``, ``MacroNotFoundError``,
    ``VersionMismatchError``.
    """
    row = await CONFIGURED.lock(session, macro_id, sharing.seen_by(Macro, actor), expected=expected)
    await sharing.check_may_change(session, row, actor=actor)
    given = {name: value for name, value in given.items() if value is not UNSET}
    whose = await sharing.resettled(session, row, given, actor=actor)
    values = await _cleaned(session, given, actor=actor)
    _check(values.get("body", row.body), values.get("actions", row.actions))
    return await CONFIGURED.change(session, row, values | whose, actor=actor)


async def remove(
    session: AsyncSession, macro_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> None:
    """Delete it. ``MacroNotFoundError``, ``PermissionDeniedError``, ``VersionMismatchError``."""
    row = await CONFIGURED.lock(session, macro_id, sharing.seen_by(Macro, actor), expected=expected)
    await sharing.check_may_change(session, row, actor=actor)
    await CONFIGURED.delete(session, row, actor=actor)


def actions_of(macro: Macro) -> MacroActions:
    """What it changes, as stored."""
    return msgspec.convert(macro.actions, MacroActions)


async def _cleaned(session: AsyncSession, given: Mapping[str, Any], *, actor: Principal) -> dict[str, Any]:
    values = dict(given)
    if "name" in values:
        values["name"] = clean_text(values["name"], field="name", maximum=NAME_MAX)
    if "description" in values:
        values["description"] = redact(values["description"].strip())
    if "body" in values:
        values["body"] = redact(values["body"].strip())
        await _check_template(session, values["body"])
    if "actions" in values:
        values["actions"] = msgspec.to_builtins(await _checked(session, values["actions"], actor=actor))
    return values


async def _checked(session: AsyncSession, actions: MacroActions, *, actor: Principal) -> MacroActions:
    """The actions, whose references exist, as they are stored."""
    if actions.status is not None and actions.status not in MOVES:
        _refuse("actions.status", f"Not one of {', '.join(sorted(MOVES))}")
    await assigning.check_team(session, actions.team_id)
    await assigning.check_assignee(session, assignee_of(actions.assignee_id, me=None))
    return msgspec.structs.replace(
        actions,
        custom=await customs.normalised(session, actions.custom, actor=actor),
        add_tags=sorted({each.strip().lower() for each in actions.add_tags}),
        remove_tags=sorted({each.strip().lower() for each in actions.remove_tags}),
    )


async def _check_template(session: AsyncSession, body: str) -> None:
    if len(body.encode()) > BODY_MAX_BYTES:
        _refuse("body", f"Must have at most {BODY_MAX_BYTES} bytes")
    if has_loose_braces(body):
        _refuse("body", "Has {{ or }} that belong to no variable")
    unknown = unknown_variables_of(body)
    if keys := custom_keys_of(body):
        there = select(TicketField.key).where(TicketField.key.in_({each for each in keys if each.isascii()}))
        unknown += [f"ticket.custom.{each}" for each in sorted(keys - set(await session.scalars(there)))]
    if unknown:
        _refuse("body", f"Unknown variables: {', '.join(unknown)[:500]}")


def _check(body: str, actions: Mapping[str, Any]) -> None:
    if not body and not actions:
        _refuse("body", "A macro writes something, or changes something")


def _refuse(field: str, message: str) -> None:
    raise InvalidDefinitionError(f"{field}: {message}", errors=[{"field": field, "message": message}])
