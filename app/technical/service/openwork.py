"""What other desks ask: which tickets point to something of theirs, and how much of that is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.knowledge import Thread, WorkCount, WorkItem
from app.technical.constants import (
    DESK,
    ISSUE_TYPE,
    SUBJECT_TYPE,
    UNFINISHED,
    IssueStatus,
    Status,
)
from app.technical.models import KnownIssue, Reference, Ticket
from app.technical.service.access import tickets_of
from app.technical.utils.numbers import ISSUES, TICKETS

ITEMS_MAX = 100


class TechnicalWork:
    """``knowledge.OpenWork`` of this desk. References of merged tickets stand with their targets."""

    name = DESK

    async def item(self, session: AsyncSession, thing: Thread, *, principal: Principal) -> WorkItem | None:
        """A ticket that the caller may see; to the staff also a known issue."""
        if thing.type == SUBJECT_TYPE:
            ticket = await session.scalar(select(Ticket).where(Ticket.id == thing.id, tickets_of(principal)))
            return None if ticket is None else _item(ticket)
        if thing.type != ISSUE_TYPE or not principal.is_staff:
            return None
        issue = await session.get(KnownIssue, thing.id)
        if issue is None:
            return None
        return WorkItem(
            type=ISSUE_TYPE,
            id=issue.id,
            number=ISSUES.shown(issue.number),
            title=issue.title,
            status=issue.status,
            is_open=issue.status != IssueStatus.resolved,
        )

    async def pointing_to(
        self, session: AsyncSession, thing: Thread, *, principal: Principal
    ) -> Sequence[WorkItem]:
        """Tickets that point to the thing and that the caller may see, newest first, 100 at most."""
        statement = (
            select(Ticket)
            .join(Reference, Reference.ticket_id == Ticket.id)
            .where(Reference.subject_type == thing.type, Reference.subject_id == thing.id)
            .where(Ticket.status != Status.merged, tickets_of(principal))
            .order_by(Ticket.created_at.desc(), Ticket.id.desc())
            .limit(ITEMS_MAX)
        )
        return [_item(each) for each in await session.scalars(statement)]

    async def counts(
        self, session: AsyncSession, things: Sequence[UUID], thing_type: str
    ) -> Mapping[UUID, WorkCount]:
        """Unfinished tickets that point to each thing, their accounts, and the known issues behind them that
        are not resolved; things without such tickets are left out."""
        statement = (
            select(
                Reference.subject_id,
                func.count(Ticket.id),
                func.count(KnownIssue.id.distinct()),
                func.count(Ticket.account_id.distinct()),
            )
            .join(Ticket, Ticket.id == Reference.ticket_id)
            .outerjoin(KnownIssue, (KnownIssue.id == Ticket.issue_id) & (KnownIssue.status != "resolved"))
            .where(Reference.subject_type == thing_type, Reference.subject_id.in_(things))
            .where(Ticket.status.in_(UNFINISHED))
            .group_by(Reference.subject_id)
        )
        found = await session.execute(statement)
        return {
            thing: WorkCount(open_tickets=tickets, known_issues=issues, accounts=accounts)
            for thing, tickets, issues, accounts in found
        }


def _item(ticket: Ticket) -> WorkItem:
    return WorkItem(
        type=SUBJECT_TYPE,
        id=ticket.id,
        number=TICKETS.shown(ticket.number),
        title=ticket.subject,
        status=ticket.status,
        is_open=ticket.status in UNFINISHED,
        account_id=ticket.account_id,
    )
