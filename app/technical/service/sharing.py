"""Whose a macro or a view is, and who may see and change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.principal import Principal
from app.listing import Listed, Listing, any_of, matching
from app.technical.constants import Visibility
from app.technical.exceptions import InvalidDefinitionError
from app.technical.models import Macro, TeamMember, TicketView
from app.technical.service import assigning

Shared = type[Macro] | type[TicketView]
T = TypeVar("T", Macro, TicketView)


def seen_by(model: Shared, principal: Principal) -> ColumnElement[bool]:
    """What is everybody's, one's own, and of one's teams; leads see that of all teams, nobody others' own."""
    own = model.owner_id == principal.person_id if principal.person_id is not None else None
    of_teams = model.visibility == Visibility.team
    if not principal.at_least(Role.lead):
        teams = select(TeamMember.team_id).where(TeamMember.person_id == principal.person_id)
        of_teams = and_(of_teams, model.team_id.in_(teams))
    conditions = [model.visibility == Visibility.shared, of_teams]
    return or_(*conditions, *([] if own is None else [own]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which macros or views a list is to have, and how."""

    q: str | None
    visibility: Sequence[Visibility] | None
    team_id: Sequence[UUID] | None
    limit: int
    sort: str | None
    cursor: str | None
    total: bool


async def page(
    session: AsyncSession,
    listing: Listing[T],
    model: type[T],
    wanted: Wanted,
    *,
    principal: Principal,
    searched: Sequence[Any],
) -> Listed[T]:
    """One page of those that the caller may use; ``searched``: the columns that ``q`` looks in."""
    found = select(model).where(
        seen_by(model, principal),
        any_of(model.visibility, wanted.visibility),
        any_of(model.team_id, wanted.team_id),
        matching(wanted.q, *searched),
    )
    filters = {"q": wanted.q, "visibility": wanted.visibility, "team_id": wanted.team_id}
    return await listing.fetch(
        session,
        found,
        limit=wanted.limit,
        sort=wanted.sort,
        cursor=wanted.cursor,
        total=wanted.total,
        filters=filters,
    )


async def check_may_change(session: AsyncSession, row: Macro | TicketView, *, actor: Principal) -> None:
    """``PermissionDeniedError`` unless the caller, who sees it, may also change it."""
    await _check_may(session, Visibility(row.visibility), row.team_id, actor=actor)


async def settled(
    session: AsyncSession, *, visibility: Visibility, team_id: UUID | None, actor: Principal
) -> dict[str, Any]:
    """Columns for whose it shall be. ``InvalidDefinitionError``, ``UnknownTeamError``,
    ``PermissionDeniedError``.
    """
    if (visibility is Visibility.team) is (team_id is None):
        message = "Give the team with the visibility `team`, and only with that"
        raise InvalidDefinitionError(f"team_id: {message}", errors=[{"field": "team_id", "message": message}])
    await assigning.check_team(session, team_id)
    await _check_may(session, visibility, team_id, actor=actor)
    owner_id = actor.person_id if visibility is Visibility.personal else None
    return {"visibility": visibility, "team_id": team_id, "owner_id": owner_id}


async def resettled(
    session: AsyncSession, row: Macro | TicketView, given: dict[str, Any], *, actor: Principal
) -> dict[str, Any]:
    """``settled`` of a change; what is a team's no more has none. Empty: it stays whose it is."""
    visibility, team_id = given.pop("visibility", UNSET), given.pop("team_id", UNSET)
    if visibility is UNSET and team_id is UNSET:
        return {}
    wanted = Visibility(row.visibility if visibility is UNSET else visibility)
    if team_id is UNSET:
        team_id = row.team_id if wanted is Visibility.team else None
    return await settled(session, visibility=wanted, team_id=team_id, actor=actor)


async def _check_may(
    session: AsyncSession, visibility: Visibility, team_id: UUID | None, *, actor: Principal
) -> None:
    if visibility is Visibility.personal:
        if actor.person_id is None:
            raise PermissionDeniedError("Only a person has something of their own: use a key that is one's.")
        return
    if actor.at_least(Role.lead):
        return
    if visibility is Visibility.team and await _is_member(session, team_id, actor):
        return
    raise PermissionDeniedError("Leads change what is shared, members and leads what is a team's.")


async def _is_member(session: AsyncSession, team_id: UUID | None, actor: Principal) -> bool:
    if actor.person_id is None:
        return False
    return await session.get(TeamMember, (team_id, actor.person_id)) is not None
