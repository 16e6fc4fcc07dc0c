"""Messages on a case, and what each does to its status and clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, sla
from app.billing.constants import CaseSource, CaseStatus, Mover
from app.billing.desk import Desk
from app.billing.exceptions import CaseClosedError
from app.billing.models import Case
from app.billing.service.cases import notifying, opening, transitions
from app.billing.service.cases.changes import check_open, lock, subject_of
from app.conversations import Posted
from app.conversations.constants import MessageKind
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal

INHERITED = (
    *("kind", "subject", "priority", "requester_id", "account_id", "tags"),
    *("subscription_id", "invoice_id", "payment_id", "dispute_id", "issue_id"),
)


@dataclass(frozen=True, slots=True)
class Written:
    """A message, and the case that it is on: a follow-up, when the one written to is over."""

    posted: Posted
    case: Case


async def write(
    session: AsyncSession,
    desk: Desk,
    case_id: UUID,
    *,
    author: Principal,
    status: CaseStatus | None = None,
    **message: Any,
) -> Written:
    """Post a message on a case.

    A customer's reply opens what awaits them, or was resolved within the reopen window; after that, and on a
    closed case, anybody's public reply opens a follow-up. The staff's first reply opens a new case.
    ``status``: where a member of the staff moves the case with the message. ``message``: what
    ``conversations.post`` takes. Errors: those of that, ``CaseNotFoundError``, ``CaseClosedError`` (a note on
    a closed case), ``InvalidCaseTransitionError``.
    """
    if status is not None and not author.is_staff:
        raise PermissionDeniedError("Only staff move a case with a message.")
    case = await lock(session, case_id, principal=author)
    public = message.get("kind", MessageKind.public) is MessageKind.public
    if public and not message.get("automatic") and _is_over(desk, case, author, message):
        return await _follow_up(session, desk, case, author=author, message=message)
    check_open(case)
    conversation = await conversations.get(session, subject_of(case.id), principal=author)
    posted = await conversations.post(session, conversation, author=author, **message)
    case = await opening.note_waiting(session, case, posted.conversation)
    case = await _follow(session, case, posted, author=author, status=status)
    await notifying.replied(session, desk, case, posted)
    return Written(posted, case)


def _is_over(desk: Desk, case: Case, author: Principal, message: Mapping[str, Any]) -> bool:
    if case.status == CaseStatus.closed:
        return True
    if case.status != CaseStatus.resolved or case.resolved_at is None:
        return False
    if not _is_customers(case, author, message):
        return False
    return datetime.now(case.resolved_at.tzinfo) - case.resolved_at > desk.reopen_window


def _is_customers(case: Case, author: Principal, message: Mapping[str, Any]) -> bool:
    if message.get("on_behalf_of") is not None or message.get("sender_email") is not None:
        return True
    is_requester = author.person_id is not None and author.person_id == case.requester_id
    return is_requester or not author.is_staff


async def _follow(
    session: AsyncSession, case: Case, posted: Posted, *, author: Principal, status: CaseStatus | None
) -> Case:
    """What a message does to clocks and status, in that order: an answer counts before a move cancels."""
    at, subject = posted.message.created_at, subject_of(case.id)
    if posted.is_reply:
        await sla.answered(session, subject, at=at, public=True, by_person=True, actor=author)
    reopens = case.status in (CaseStatus.awaiting_customer, CaseStatus.resolved)
    if status is not None:
        case = await transitions.move(session, case, status, actor=author, at=at)
    elif posted.is_customer_message and reopens:
        case = await transitions.move(session, case, CaseStatus.open, actor=author, as_=Mover.reply, at=at)
    elif posted.is_reply and case.status == CaseStatus.new:
        case = await transitions.move(session, case, CaseStatus.open, actor=author, as_=Mover.staff, at=at)
    if posted.is_customer_message:  # also one after what was resolved unanswered, whose clock was canceled
        await sla.start_next_reply(session, subject, at=at, actor=author)
    return case


async def _follow_up(
    session: AsyncSession, desk: Desk, case: Case, *, author: Principal, message: Mapping[str, Any]
) -> Written:
    """A new case of the same requester, about the same thing, whose first message is this one."""
    body = str(message.get("body", ""))
    if not body.strip():
        raise CaseClosedError("This case is closed; write something to open a follow-up.")
    values = {name: getattr(case, name) for name in INHERITED}
    values |= {"description": body, "source": CaseSource.follow_up, "follows_id": case.id}
    made = await opening.insert_case(
        session, values, actor=author, message=dict(message) | {"in_reply_to": None}
    )
    assert made.posted is not None  # it was opened with a message
    await notifying.replied(session, desk, made.case, made.posted)
    return Written(made.posted, made.case)
