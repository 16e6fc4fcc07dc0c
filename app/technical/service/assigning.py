"""Who works on a ticket: its team by product, its assignee by load and skills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.models import Person
from app.technical.exceptions import UnknownAssigneeError, UnknownIssueError, UnknownTeamError
from app.technical.models import KnownIssue, Team, Ticket


async def placed(session: AsyncSession, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a new ticket with the team and the assignee that the rules give it."""
    return dict(values)


async def replaced(session: AsyncSession, ticket: Ticket, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of a locked ticket with what they mean for who works on it."""
    return dict(changes)


async def check_assignee(session: AsyncSession, person_id: UUID | None) -> None:
    """``UnknownAssigneeError`` unless this is an active member of the staff."""
    if person_id is None:
        return
    statement = select(Person.id).where(
        Person.id == person_id, Person.active, Person.role != Role.customer, Person.erased_at.is_(None)
    )
    if await session.scalar(statement) is None:
        raise UnknownAssigneeError("The assignee is no active member of the staff.", assignee_id=person_id)


async def check_team(session: AsyncSession, team_id: UUID | None) -> None:
    """``UnknownTeamError`` unless there is such a team."""
    if team_id is not None and await session.get(Team, team_id) is None:
        raise UnknownTeamError("There is no such team.", team_id=team_id)


async def check_issue(session: AsyncSession, issue_id: UUID | None) -> None:
    """``UnknownIssueError`` unless there is such a known issue."""
    if issue_id is not None and await session.get(KnownIssue, issue_id) is None:
        raise UnknownIssueError("There is no such known issue.", issue_id=issue_id)
