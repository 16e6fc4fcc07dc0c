"""Credit notes: previewed by agents, issued and voided by leads."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import EXTERNAL_ID_MAX, CreditNoteStatus, Provider, RefundReason
from app.billing.desk import Desk
from app.billing.exceptions import (
    AllocationMismatchError,
    CreditNoteNotFoundError,
    NotCreditableError,
    NotRefundableError,
    NotVoidableError,
    UnknownReferenceError,
)
from app.billing.schemas.credit_notes import CreditNoteCreate, CreditNotePreview, CreditNoteView
from app.billing.schemas.fields import NO_NUL
from app.billing.schemas.money import CurrencyCode
from app.billing.service import issues
from app.billing.service.credit_notes import changes, issuing, listing, showing
from app.billing.service.credit_notes.planning import Allocation
from app.billing.service.credit_notes.taking import Taken
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

StatusFilter = Annotated[list[CreditNoteStatus] | None, several("status", "Notes that stand there.")]
ProviderFilter = Annotated[list[Provider] | None, several("provider", "That this system issued.")]
AccountFilter = Annotated[list[UUID] | None, several("account_id", "Of this account.")]
InvoiceFilter = Annotated[list[UUID] | None, several("invoice_id", "Of this invoice.")]
CaseFilter = Annotated[list[UUID] | None, several("case_id", "That belong to this case.")]
IssueFilter = Annotated[list[UUID] | None, several("issue_id", "Staff only: behind which this issue is.")]
CurrencyFilter = Annotated[list[CurrencyCode] | None, several("currency", "In this currency.")]
ReasonFilter = Annotated[list[RefundReason] | None, several("reason", "For this reason.")]
Number = Annotated[str, Meta(max_length=EXTERNAL_ID_MAX, pattern=NO_NUL)]
NumberFilter = Annotated[list[Number] | None, several("number", "With this number, such as `CN-000007`.")]

REFUSALS = [UnknownReferenceError, NotCreditableError, AllocationMismatchError, NotRefundableError]


class CreditNoteController(Controller):
    """Credit notes."""

    path = "/credit-notes"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_credit_note",
        guards=[require(Role.lead)],
        opt=documented(raises=REFUSALS, idempotency_required=True),
    )
    async def create_credit_note(
        self,
        data: JSONBody[CreditNoteCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> CreditNoteView:
        """Issue a credit note: it first reduces what the invoice still owes.

        Its refund part becomes refund requests, the oldest payment first, for somebody else to approve. Tax
        is rounded on the note by itself; the note that completes a rate's lines absorbs the rest, so that all
        notes of an invoice sum to it exactly.
        """
        await issues.check(session, billing, data.issue_id, principal=principal)
        note = await issuing.create(session, _wanted(data), actor=principal)
        return await showing.show(session, note, principal=principal)

    @post(
        "/preview",
        operation_id="preview_credit_note",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(raises=REFUSALS),
    )
    async def preview_credit_note(
        self,
        data: JSONBody[CreditNoteCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> CreditNotePreview:
        """What a credit note would come to, without an effect. Its parts are checked if any is given."""
        return showing.show_plan(await issuing.preview(session, _wanted(data), actor=principal))

    @get(
        operation_id="list_credit_notes",
        opt=documented(raises=[PermissionDeniedError], listing=listing.NOTES),
    )
    async def list_credit_notes(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        status: StatusFilter = None,
        provider: ProviderFilter = None,
        account_id: AccountFilter = None,
        invoice_id: InvoiceFilter = None,
        case_id: CaseFilter = None,
        issue_id: IssueFilter = None,
        currency: CurrencyFilter = None,
        reason: ReasonFilter = None,
        number: NumberFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[CreditNoteView]:
        """List credit notes, newest first. Customers list their account's, if they may."""
        asked = listing.NoteFilter(
            status=status,
            provider=provider,
            account_id=account_id,
            invoice_id=invoice_id,
            case_id=case_id,
            issue_id=issue_id,
            currency=currency,
            reason=reason,
            number=number,
            created_after=created_after,
            created_before=created_before,
        )
        found = await listing.NOTES.fetch(
            session,
            listing.wanted(principal, asked),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked),
        )
        shown = await showing.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/{credit_note_id:uuid}",
        operation_id="get_credit_note",
        opt=documented(raises=[CreditNoteNotFoundError]),
    )
    async def get_credit_note(
        self,
        credit_note_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> CreditNoteView:
        """Get a credit note, with its lines and the refunds that it asked for."""
        note = await changes.get(session, credit_note_id, principal=principal)
        return await showing.show(session, note, principal=principal)

    @post(
        "/{credit_note_id:uuid}/void",
        operation_id="void_credit_note",
        status_code=200,
        guards=[require(Role.lead)],
        opt=documented(raises=[CreditNoteNotFoundError, NotVoidableError], idempotency_required=True),
    )
    async def void_credit_note(
        self,
        *,
        credit_note_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> CreditNoteView:
        """Take a credit note back, as long as none of its refund part was executed.

        The invoice owes again what the note reduced, and its lines can be credited again.
        """
        note = await changes.void(session, credit_note_id, actor=principal, expected=expected)
        return await showing.show(session, note, principal=principal)


def _wanted(data: CreditNoteCreate) -> issuing.Wanted:
    return issuing.Wanted(
        invoice_id=data.invoice_id,
        lines=[Taken(line_id=each.line_id, amount=each.amount) for each in data.lines],
        allocation=Allocation(
            refund=data.refund_amount, credit=data.credit_amount, out_of_band=data.out_of_band_amount
        ),
        reason=data.reason,
        note=data.note,
        case_id=data.case_id,
        issue_id=data.issue_id,
    )
