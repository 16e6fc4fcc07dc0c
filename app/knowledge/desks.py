"""Desk to desk: what one tells another about an account, or about work that points to something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
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


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units of a currency; 10^-exponent of it is one unit."""

    amount: int
    currency: Annotated[str, Meta(examples=["EUR"])]
    exponent: Annotated[int, Meta(ge=0, le=4)]


class Revenue(Protocol):
    """What accounts really paid."""

    name: str  # of the desk: ``billing``

    async def net_paid(
        self, session: AsyncSession, accounts: Sequence[UUID], *, as_of: datetime | None = None
    ) -> Mapping[UUID, Sequence[Amount]]:
        """For each account what it paid, less what was paid back or taken by disputes, until ``as_of``.

        An amount a currency: nobody adds currencies up. Accounts that never paid are left out.
        """
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
    requester_id: UUID | None = None
    issue_id: Annotated[UUID | None, Meta(description="The known issue behind it that is not resolved.")] = (
        None
    )


class Pointing(StrEnum):
    """What came of letting a case point to something. Told anything but ``done``, the caller rolls back."""

    done = "done"
    unknown = "unknown"  # there is no such case, or the caller may not see it
    closed = "closed"  # or merged into another one: it changes no more
    full = "full"  # it points to as many things as it may


class WorkCount(msgspec.Struct, frozen=True, kw_only=True):
    """How much open work points to something, and of how many accounts."""

    open_tickets: Annotated[int, Meta(ge=0)] = 0
    known_issues: Annotated[int, Meta(ge=0)] = 0
    accounts: Annotated[int, Meta(ge=0)] = 0


class OpenWork(Protocol):
    """A desk whose cases point to other desks' things."""

    name: str  # of the desk: ``technical``

    async def item(self, session: AsyncSession, thing: Thread, *, principal: Principal) -> WorkItem | None:
        """A thing of this desk, if it is one and the caller may see it."""
        ...

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

    async def linked(
        self, session: AsyncSession, things: Sequence[UUID], thing_type: str, *, principal: Principal
    ) -> Mapping[UUID, Sequence[WorkItem]]:
        """All cases that point to each thing and that the caller may see, oldest first; things without are
        left out."""
        ...

    async def point(
        self, session: AsyncSession, case: Thread, thing: Thread, *, principal: Principal
    ) -> Pointing:
        """Let a case of this desk, which is locked, point to another desk's thing; again changes nothing."""
        ...

    async def unpoint(
        self, session: AsyncSession, case: Thread, thing: Thread, *, principal: Principal
    ) -> Pointing:
        """Let it point there no more; again changes nothing."""
        ...

    async def draft_reply(
        self, session: AsyncSession, case: Thread, body: str, *, principal: Principal
    ) -> Pointing:
        """Leave a proposed reply, in Markdown, on a case: an internal note for whoever answers it."""
        ...
