"""Saved views: filters of tickets under a name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, structs
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import InvalidError
from app.identity.principal import Principal
from app.identity.utils import clean_text
from app.listing import Listed, Listing
from app.preconditions import ANYTHING, Expected
from app.technical.constants import NAME_MAX, VIEWS_MAX
from app.technical.exceptions import ViewNotFoundError
from app.technical.models import Ticket, TicketView
from app.technical.schemas.views import ViewFilter
from app.technical.service import customs, sharing
from app.technical.service.configuring import Configured
from app.technical.service.listing import TICKETS, TicketFilter, wanted
from app.technical.utils.assignees import assignee_of

CONFIGURED = Configured(
    model=TicketView,
    name="ticket_view",
    told=("name", "filter", "sort", "visibility", "owner_id", "team_id"),
    missing=ViewNotFoundError,
    maximum=VIEWS_MAX,
)
VIEWS = Listing(
    TicketView,
    sorts={
        "created_at": TicketView.created_at,
        "updated_at": TicketView.updated_at,
        "name": TicketView.name,
    },
    default="name",
)
NOBODY_ELSE = UUID(int=0)  # whom `me` is of a caller who is no person: nobody's assignee
RELATIVE = ("created_within_hours", "updated_within_hours")


async def create(session: AsyncSession, *, actor: Principal, **given: Any) -> TicketView:
    """A new view. ``InvalidError``, ``InvalidDefinitionError``, ``InvalidFieldError``, ``UnknownTeamError``,
    ``PermissionDeniedError``, ``LimitReachedError``.
    """
    whose = await sharing.settled(
        session, visibility=given.pop("visibility"), team_id=given.pop("team_id"), actor=actor
    )
    values = await _cleaned(session, given, actor=actor)
    row = await CONFIGURED.create(session, values | whose, actor=actor)
    assert row is not None  # nothing of it is unique but its id
    return row


async def get(session: AsyncSession, view_id: UUID, *, principal: Principal) -> TicketView:
    """The view; ``ViewNotFoundError`` also when it is not for the caller."""
    return await CONFIGURED.get(session, view_id, sharing.seen_by(TicketView, principal))


async def list_page(session: AsyncSession, *, principal: Principal, **wanted: Any) -> Listed[TicketView]:
    """One page of those that the caller may use, by name unless sorted otherwise; ``sharing.Wanted``."""
    return await sharing.page(
        session, VIEWS, TicketView, sharing.Wanted(**wanted), principal=principal, searched=(TicketView.name,)
    )


async def change(
    session: AsyncSession, view_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> TicketView:
    """Change what is given and not UNSET. Errors: those of ``create``, ``ViewNotFoundError``,
    ``VersionMismatchError``.
    """
    row = await CONFIGURED.lock(session, view_id, sharing.seen_by(TicketView, actor), expected=expected)
    await sharing.check_may_change(session, row, actor=actor)
    given = {name: value for name, value in given.items() if value is not UNSET}
    whose = await sharing.resettled(session, row, given, actor=actor)
    values = await _cleaned(session, given, actor=actor)
    return await CONFIGURED.change(session, row, values | whose, actor=actor)


async def remove(
    session: AsyncSession, view_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> None:
    """Delete it. ``ViewNotFoundError``, ``PermissionDeniedError``, ``VersionMismatchError``."""
    row = await CONFIGURED.lock(session, view_id, sharing.seen_by(TicketView, actor), expected=expected)
    await sharing.check_may_change(session, row, actor=actor)
    await CONFIGURED.delete(session, row, actor=actor)


async def tickets_in(
    session: AsyncSession,
    view_id: UUID,
    *,
    principal: Principal,
    limit: int,
    sort: str | None,
    cursor: str | None,
    total: bool,
) -> Listed[Ticket]:
    """One page of the view's tickets, in its order unless sorted otherwise; ``ViewNotFoundError``.

    A cursor holds for the view as it was: relative times move on between two pages, other changes end it.
    """
    view = await get(session, view_id, principal=principal)
    asked = filter_of(msgspec.convert(view.filter, ViewFilter), principal=principal)
    scope = {"view": view.id, "version": view.version, "me": principal.person_id}
    return await TICKETS.fetch(
        session,
        wanted(principal, asked),
        limit=limit,
        sort=sort or view.sort,
        cursor=cursor,
        filters=scope,
        total=total,
    )


async def count(session: AsyncSession, view_id: UUID, *, principal: Principal) -> int:
    """How many tickets are in the view; ``ViewNotFoundError``."""
    view = await get(session, view_id, principal=principal)
    asked = filter_of(msgspec.convert(view.filter, ViewFilter), principal=principal)
    counted = wanted(principal, asked).with_only_columns(Ticket.id).subquery()
    return await session.scalar(select(func.count()).select_from(counted)) or 0


def filter_of(saved: ViewFilter, *, principal: Principal, now: datetime | None = None) -> TicketFilter:
    """What the view asks for when this caller looks at it now."""
    now = now or datetime.now(UTC)
    asked = structs.asdict(saved)
    hours = {name.removesuffix("_within_hours"): asked.pop(name) for name in RELATIVE}
    for name, given in hours.items():
        if given is not None:
            since, after = now - timedelta(hours=given), asked[f"{name}_after"]
            asked[f"{name}_after"] = since if after is None else max(since, after)
    if saved.assignee_id is not None:
        me = principal.person_id or NOBODY_ELSE
        asked["assignee_id"] = [assignee_of(each, me=me) for each in saved.assignee_id]
    return TicketFilter(**asked)


async def _cleaned(session: AsyncSession, given: Mapping[str, Any], *, actor: Principal) -> dict[str, Any]:
    values = dict(given)
    if "name" in values:
        values["name"] = clean_text(values["name"], field="name", maximum=NAME_MAX)
    if "sort" in values and values["sort"] not in TICKETS.sort_names:
        message = f"Not one of {', '.join(TICKETS.sort_names)}"
        raise InvalidError(f"sort: {message}", errors=[{"field": "sort", "message": message}])
    if "filter" in values:
        saved: ViewFilter = values["filter"]
        if saved.custom is not None:
            asked = await customs.normalised(session, saved.custom, actor=actor)
            present = {key: value for key, value in asked.items() if value is not None}
            saved = structs.replace(saved, custom=present)
        wanted(actor, filter_of(_in_zone(saved), principal=actor))  # refuses times without a zone
        values["filter"] = msgspec.to_builtins(saved)
    return values


def _in_zone(saved: ViewFilter) -> ViewFilter:
    """Each refused by its own name, before two times are compared."""
    for name in ("created_after", "created_before", "updated_after", "updated_before"):
        moment = getattr(saved, name)
        if moment is not None and moment.tzinfo is None:
            message = "Expected a time with a zone"
            raise InvalidError(
                f"filter.{name}: {message}", errors=[{"field": f"filter.{name}", "message": message}]
            )
    return saved
