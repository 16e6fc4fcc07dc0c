"""Desk to desk: what one tells another about an account, or about work that points to something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from app.knowledge.threads import Principal, Thread


class AccountFacts(Protocol):
    """A panel of facts about an account, shown beside another desk's case."""

    name: str  # of the panel: ``billing``

    async def facts(
        self, session: AsyncSession, account_id: UUID, *, principal: Principal
    ) -> Mapping[str, Any]:
        """Facts that the caller may see, as JSON can tell them; empty when there are none."""
        ...


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """A desk's case that points to something else."""

    type: Annotated[str, Meta(examples=["ticket"])]
    id: UUID
    number: Annotated[str, Meta(examples=["TEC-42"])]
    title: str
    status: str
    is_open: bool
    account_id: UUID | None = None


class WorkCount(msgspec.Struct, frozen=True, kw_only=True):
    """How much open work points to something, and of how many accounts."""

    open_tickets: Annotated[int, Meta(ge=0)] = 0
    known_issues: Annotated[int, Meta(ge=0)] = 0
    accounts: Annotated[int, Meta(ge=0)] = 0


class OpenWork(Protocol):
    """A desk whose cases point to other desks' things."""

    name: str  # of the desk: ``technical``

    async def pointing_to(
        self, session: AsyncSession, thing: Thread, *, principal: Principal
    ) -> Sequence[WorkItem]:
        """Cases linked to the thing that the caller may see, newest first."""
        ...

    async def counts(
        self, session: AsyncSession, things: Sequence[UUID], thing_type: str
    ) -> Mapping[UUID, WorkCount]:
        """For each thing of one type what is open; a thing that nothing points to may be left out."""
        ...
