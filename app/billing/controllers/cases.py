"""Billing cases."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app import sla
from app.billing.constants import SUBJECT_TYPE
from app.billing.controllers import filters
from app.billing.desk import Desk
from app.billing.exceptions import (
    CaseClosedError,
    CaseNotFoundError,
    InvalidCaseTransitionError,
    UnknownReferenceError,
)
from app.billing.schemas.cases import (
    BillingCaseCreate,
    BillingCaseUpdate,
    BillingCaseView,
    BillingClockList,
    BillingTransitionCreate,
    SimilarCase,
    SimilarCases,
)
from app.billing.service import cases, issues
from app.billing.service.cases import listing, showing, transitions
from app.conversations.exceptions import (
    EmptyMessageError,
    MessageTooLargeError,
    TooManyAttachmentsError,
    TooManyParticipantsError,
    UnknownAttachmentError,
)
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.exceptions import PersonDeactivatedError
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

SIMILAR = 10


class BillingCaseController(Controller):
    """Cases of the billing desk."""

    path = "/cases"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_billing_case",
        opt=documented(
            raises=[
                PermissionDeniedError,
                UnknownReferenceError,
                EmptyMessageError,
                MessageTooLargeError,
                UnknownAttachmentError,
                TooManyAttachmentsError,
                PersonDeactivatedError,
            ]
        ),
    )
    async def create_billing_case(
        self,
        data: JSONBody[BillingCaseCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> BillingCaseView:
        """Open a case. A customer opens their own; the staff may open one for a customer."""
        await issues.check(session, billing, data.issue_id, principal=principal)
        case = await cases.create(session, billing, actor=principal, **structs.asdict(data))
        return showing.show(case, principal=principal)

    @get(
        operation_id="list_billing_cases",
        opt=documented(raises=[PermissionDeniedError], listing=listing.CASES),
    )
    async def list_billing_cases(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        kind: filters.KindFilter = None,
        status: filters.StatusFilter = None,
        priority: filters.PriorityFilter = None,
        assignee_id: filters.AssigneeFilter = None,
        unassigned: filters.UnassignedFilter = None,
        requester_id: filters.RequesterFilter = None,
        account_id: filters.AccountFilter = None,
        invoice_id: filters.InvoiceFilter = None,
        payment_id: filters.PaymentFilter = None,
        dispute_id: filters.DisputeFilter = None,
        subscription_id: filters.SubscriptionFilter = None,
        issue_id: filters.IssueFilter = None,
        tag: filters.TagFilter = None,
        number: filters.NumberFilter = None,
        waiting: filters.WaitingFilter = None,
        q: filters.QueryFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        updated_after: filters.UpdatedAfter = None,
        updated_before: filters.UpdatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[BillingCaseView]:
        """List cases, newest first. Customers list their own, and their account's if they may."""
        asked = listing.CaseFilter(
            kind=kind,
            status=status,
            priority=priority,
            assignee_id=assignee_id,
            unassigned=unassigned,
            requester_id=requester_id,
            account_id=account_id,
            invoice_id=invoice_id,
            payment_id=payment_id,
            dispute_id=dispute_id,
            subscription_id=subscription_id,
            issue_id=issue_id,
            tag=tag,
            number=number,
            waiting=waiting,
            q=q,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
        )
        return await showing.page(
            session, asked, principal=principal, sort=sort, total=total, limit=limit, cursor=cursor
        )

    @get(
        "/{case_id:uuid}",
        operation_id="get_billing_case",
        opt=documented(raises=[CaseNotFoundError], conditional=False),
    )
    async def get_billing_case(
        self,
        case_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BillingCaseView:
        """Get a case."""
        return showing.show(await cases.get(session, case_id, principal=principal), principal=principal)

    @patch(
        "/{case_id:uuid}",
        operation_id="update_billing_case",
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                CaseNotFoundError,
                CaseClosedError,
                UnknownReferenceError,
                TooManyParticipantsError,
                PersonDeactivatedError,
            ]
        ),
    )
    async def update_billing_case(
        self,
        *,
        case_id: FromPath[UUID],
        data: JSONBody[BillingCaseUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> BillingCaseView:
        """Change a case. Clocks keep the time they consumed when its priority changes."""
        await issues.check(session, billing, data.issue_id, principal=principal)
        case = await cases.update_case(
            session, case_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return showing.show(case, principal=principal)

    @post(
        "/{case_id:uuid}/transitions",
        operation_id="move_billing_case",
        status_code=200,
        opt=documented(raises=[CaseNotFoundError, InvalidCaseTransitionError]),
    )
    async def move_billing_case(
        self,
        *,
        case_id: FromPath[UUID],
        data: JSONBody[BillingTransitionCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> BillingCaseView:
        """Move a case to another status.

        The staff move it between what is being worked on and to `resolved`, a lead on to `closed`; its
        requester resolves what is open. Refund requests move their case by themselves.
        """
        case = await cases.lock(session, case_id, principal=principal)
        expected.check(case.version)
        moved = await transitions.move(session, case, data.to, actor=principal, reason=data.reason)
        return showing.show(moved, principal=principal)

    @get(
        "/{case_id:uuid}/clocks",
        operation_id="list_billing_case_clocks",
        opt=documented(raises=[CaseNotFoundError]),
    )
    async def list_billing_case_clocks(
        self,
        case_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> BillingClockList:
        """The clocks of a case, oldest first."""
        case = await cases.get(session, case_id, principal=principal)
        found = await sla.clocks(session, cases.subject_of(case.id), at=datetime.now(UTC))
        return BillingClockList(clocks=found)

    @get(
        "/{case_id:uuid}/similar",
        operation_id="list_similar_billing_cases",
        guards=[require(Role.agent)],
        opt=documented(raises=[CaseNotFoundError]),
    )
    async def list_similar_billing_cases(
        self,
        case_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> SimilarCases:
        """Cases that are like this one, by words and meaning, most alike first; for the staff."""
        case = await cases.get(session, case_id, principal=principal)
        found = await billing.matcher.similar(
            session,
            subject=cases.subject_of(case.id),
            types=[SUBJECT_TYPE],
            audiences=["staff"],
            limit=SIMILAR,
        )
        rows = await listing.by_ids(session, [each.subject.id for each in found], principal=principal)
        return SimilarCases(
            items=[
                SimilarCase(case=showing.show(rows[each.subject.id], principal=principal), score=each.score)
                for each in found
                if each.subject.id in rows
            ]
        )
