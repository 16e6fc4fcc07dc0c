"""What other desks ask: which cases point to something of theirs, and how much of that is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.billing.constants import DESK, REFERENCES_MAX, SUBJECT_TYPE, UNFINISHED
from app.billing.exceptions import CaseClosedError, CaseNotFoundError
from app.billing.models import Case, CaseReference
from app.billing.service.access import cases_of
from app.billing.service.cases.changes import lock_open, record, subject_of
from app.billing.utils.numbers import CASES
from app.conversations.constants import MessageKind
from app.identity.principal import Principal
from app.knowledge import Pointing, Thread, WorkCount, WorkItem
from app.listing import among

ITEMS_MAX = 100
# What a case itself says that it is about; everything else it points to by a reference.
COLUMNS: Mapping[str, Any] = {
    "known_issue": Case.issue_id,
    "payment": Case.payment_id,
    "invoice": Case.invoice_id,
    "dispute": Case.dispute_id,
    "subscription": Case.subscription_id,
}


class BillingWork:
    """``knowledge.OpenWork`` of this desk: cases about known issues, payments, invoices, disputes, and those
    that were linked to another desk's thing."""

    name = DESK

    async def item(self, session: AsyncSession, thing: Thread, *, principal: Principal) -> WorkItem | None:
        """The case, if it is one that the caller may see."""
        if thing.type != SUBJECT_TYPE:
            return None
        case = await session.scalar(select(Case).where(Case.id == thing.id, cases_of(principal)))
        return None if case is None else _item(case)

    async def pointing_to(
        self, session: AsyncSession, thing: Thread, *, principal: Principal
    ) -> Sequence[WorkItem]:
        """Cases about the thing that the caller may see, newest first, 100 at most."""
        pointing = _pointing(thing.type)
        statement = (
            select(Case)
            .join(pointing, pointing.c.case_id == Case.id)
            .where(pointing.c.thing_id == thing.id, cases_of(principal))
            .order_by(Case.created_at.desc(), Case.id.desc())
            .limit(ITEMS_MAX)
        )
        return [_item(each) for each in await session.scalars(statement)]

    async def counts(
        self, session: AsyncSession, things: Sequence[UUID], thing_type: str
    ) -> Mapping[UUID, WorkCount]:
        """Unfinished cases about each thing, and their accounts; things without are left out."""
        pointing = _pointing(thing_type)
        statement = (
            select(pointing.c.thing_id, func.count(Case.id), func.count(Case.account_id.distinct()))
            .join(Case, Case.id == pointing.c.case_id)
            .where(pointing.c.thing_id.in_(things), Case.status.in_(UNFINISHED))
            .group_by(pointing.c.thing_id)
        )
        return {
            thing: WorkCount(open_tickets=cases, accounts=accounts)
            for thing, cases, accounts in await session.execute(statement)
        }

    async def linked(
        self, session: AsyncSession, things: Sequence[UUID], thing_type: str, *, principal: Principal
    ) -> Mapping[UUID, Sequence[WorkItem]]:
        """Cases about each thing that the caller may see, oldest first; things without are left out."""
        pointing = _pointing(thing_type)
        statement = (
            select(pointing.c.thing_id, Case)
            .join(Case, Case.id == pointing.c.case_id)
            .where(among(pointing.c.thing_id, things), cases_of(principal))
            .order_by(Case.created_at, Case.id)
        )
        found: dict[UUID, list[WorkItem]] = {}
        for thing_id, case in await session.execute(statement):
            found.setdefault(thing_id, []).append(_item(case))
        return found

    async def point(
        self, session: AsyncSession, case: Thread, thing: Thread, *, principal: Principal
    ) -> Pointing:
        """Let a case point to another desk's thing; again changes nothing."""
        locked = await _lock(session, case, principal=principal)
        if isinstance(locked, Pointing):
            return locked
        values = {"case_id": locked.id, "subject_type": thing.type, "subject_id": thing.id}
        statement = insert(CaseReference).values(values | {"created_by": principal.person_id})
        made = await session.execute(statement.on_conflict_do_nothing().returning(CaseReference.subject_id))
        if made.one_or_none() is None:
            return Pointing.done
        there = select(func.count()).select_from(CaseReference).where(CaseReference.case_id == locked.id)
        if (await session.scalar(there) or 0) > REFERENCES_MAX:
            return Pointing.full
        told = {"subject_type": thing.type, "subject_id": thing.id}
        await record(session, "billing_case.referred", locked, actor=principal, after=told)
        return Pointing.done

    async def unpoint(
        self, session: AsyncSession, case: Thread, thing: Thread, *, principal: Principal
    ) -> Pointing:
        """Let it point there no more; again changes nothing."""
        locked = await _lock(session, case, principal=principal)
        if isinstance(locked, Pointing):
            return locked
        there = delete(CaseReference).filter_by(
            case_id=locked.id, subject_type=thing.type, subject_id=thing.id
        )
        if (await session.execute(there.returning(CaseReference.subject_id))).one_or_none() is not None:
            told = {"subject_type": thing.type, "subject_id": thing.id}
            await record(session, "billing_case.unreferred", locked, actor=principal, before=told)
        return Pointing.done

    async def draft_reply(
        self, session: AsyncSession, case: Thread, body: str, *, principal: Principal
    ) -> Pointing:
        """Leave a proposed reply on a case, as a note."""
        locked = await _lock(session, case, principal=principal)
        if isinstance(locked, Pointing):
            return locked
        conversation = await conversations.get(session, subject_of(locked.id), principal=principal)
        await conversations.post(
            session, conversation, author=principal, body=body, kind=MessageKind.note, automatic=True
        )
        return Pointing.done


async def _lock(session: AsyncSession, case: Thread, *, principal: Principal) -> Case | Pointing:
    if case.type != SUBJECT_TYPE:
        return Pointing.unknown
    try:
        return await lock_open(session, case.id, principal=principal)
    except CaseNotFoundError:
        return Pointing.unknown
    except CaseClosedError:
        return Pointing.closed


def _pointing(thing_type: str) -> Any:
    """``case_id``, ``thing_id``: which case is about which thing of a type."""
    column = COLUMNS.get(thing_type)
    if column is not None:
        return select(Case.id.label("case_id"), column.label("thing_id")).subquery()
    return (
        select(CaseReference.case_id, CaseReference.subject_id.label("thing_id"))
        .where(CaseReference.subject_type == thing_type)
        .subquery()
    )


def _item(case: Case) -> WorkItem:
    return WorkItem(
        type=SUBJECT_TYPE,
        id=case.id,
        number=CASES.shown(case.number),
        title=case.subject,
        status=case.status,
        is_open=case.status in UNFINISHED,
        account_id=case.account_id,
        requester_id=case.requester_id,
    )
