"""What other desks ask: which tickets point to something of theirs, and how much of that is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.constants import MessageKind
from app.exceptions import TrideskError
from app.identity.principal import Principal
from app.knowledge import Pointing, Thread, WorkCount, WorkItem
from app.listing import among
from app.technical.constants import (
    DESK,
    ISSUE_TYPE,
    SUBJECT_TYPE,
    UNFINISHED,
    IssueStatus,
    Status,
)
from app.technical.exceptions import (
    TicketClosedError,
    TicketMergedError,
    TicketNotFoundError,
    TooManyLinksError,
)
from app.technical.models import KnownIssue, Reference, Ticket
from app.technical.service import references
from app.technical.service.access import tickets_of
from app.technical.service.changes import lock_open, subject_of
from app.technical.utils.numbers import ISSUES, TICKETS

ITEMS_MAX = 100
CANNOT = (TicketNotFoundError, TicketMergedError, TicketClosedError)


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

    async def linked(
        self, session: AsyncSession, things: Sequence[UUID], thing_type: str, *, principal: Principal
    ) -> Mapping[UUID, Sequence[WorkItem]]:
        """Tickets that point to each thing and that the caller may see, oldest first; things without are
        left out."""
        statement = (
            select(Reference.subject_id, Ticket, KnownIssue.id)
            .join(Ticket, Ticket.id == Reference.ticket_id)
            .outerjoin(KnownIssue, (KnownIssue.id == Ticket.issue_id) & (KnownIssue.status != "resolved"))
            .where(Reference.subject_type == thing_type, among(Reference.subject_id, things))
            .where(Ticket.status != Status.merged, tickets_of(principal))
            .order_by(Ticket.created_at, Ticket.id)
        )
        found: dict[UUID, list[WorkItem]] = {}
        for thing_id, ticket, issue_id in await session.execute(statement):
            found.setdefault(thing_id, []).append(_item(ticket, issue_id if principal.is_staff else None))
        return found

    async def point(
        self, session: AsyncSession, case: Thread, thing: Thread, *, principal: Principal
    ) -> Pointing:
        """Let a ticket point to another desk's thing; again changes nothing."""
        if case.type != SUBJECT_TYPE or thing.type == SUBJECT_TYPE:
            return Pointing.unknown
        try:
            await references.refer(
                session, case.id, subject_type=thing.type, subject_id=thing.id, actor=principal
            )
        except TooManyLinksError:
            return Pointing.full
        except CANNOT as error:
            return _reason(error)
        return Pointing.done

    async def unpoint(
        self, session: AsyncSession, case: Thread, thing: Thread, *, principal: Principal
    ) -> Pointing:
        """Let it point there no more; again changes nothing."""
        if case.type != SUBJECT_TYPE:
            return Pointing.unknown
        there = select(Reference.id).filter_by(
            ticket_id=case.id, subject_type=thing.type, subject_id=thing.id
        )
        try:
            await lock_open(session, case.id, principal=principal)
            reference_id = await session.scalar(there)
            if reference_id is not None:
                await references.withdraw(session, case.id, reference_id, actor=principal)
        except CANNOT as error:
            return _reason(error)
        return Pointing.done

    async def draft_reply(
        self, session: AsyncSession, case: Thread, body: str, *, principal: Principal
    ) -> Pointing:
        """Leave a proposed reply on a ticket, as a note."""
        if case.type != SUBJECT_TYPE:
            return Pointing.unknown
        try:
            ticket = await lock_open(session, case.id, principal=principal)
        except CANNOT as error:
            return _reason(error)
        conversation = await conversations.get(session, subject_of(ticket.id), principal=principal)
        await conversations.post(
            session, conversation, author=principal, body=body, kind=MessageKind.note, automatic=True
        )
        return Pointing.done


def _reason(error: TrideskError) -> Pointing:
    return Pointing.unknown if isinstance(error, TicketNotFoundError) else Pointing.closed


def _item(ticket: Ticket, issue_id: UUID | None = None) -> WorkItem:
    return WorkItem(
        type=SUBJECT_TYPE,
        id=ticket.id,
        number=TICKETS.shown(ticket.number),
        title=ticket.subject,
        status=ticket.status,
        is_open=ticket.status in UNFINISHED,
        account_id=ticket.account_id,
        requester_id=ticket.requester_id,
        issue_id=issue_id,
    )
