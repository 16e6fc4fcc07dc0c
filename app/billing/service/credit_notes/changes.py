"""Reading and voiding credit notes, and the events about them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import CreditNoteStatus, Provider, RequestStatus
from app.billing.exceptions import CreditNoteNotFoundError, NotVoidableError
from app.billing.models import CreditNote, Invoice, RefundRequest
from app.billing.service import ledger, payments
from app.billing.service.access import money_of
from app.billing.service.credit_notes.reducing import reduce
from app.billing.service.refunds import requests
from app.events import Subject
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected

FRESH = {"populate_existing": True}
NOTE_TYPE = "credit_note"
STAFF_FIELDS = ("issue_id",)
TOLD = (
    *("number", "status", "invoice_id", "case_id", "issue_id", "reason", "currency", "exponent"),
    *("subtotal", "tax", "total", "reduces", "refund_amount", "credit_amount", "out_of_band_amount"),
)
GOING = (RequestStatus.executing, RequestStatus.refunded)
UNDECIDED = (RequestStatus.requested, RequestStatus.approved)


async def get(session: AsyncSession, note_id: UUID, *, principal: Principal) -> CreditNote:
    """The note; ``CreditNoteNotFoundError`` also when the caller may not see it."""
    statement = select(CreditNote).where(CreditNote.id == note_id, money_of(principal, CreditNote.account_id))
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise CreditNoteNotFoundError("There is no such credit note.")
    return found


async def void(
    session: AsyncSession, note_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> CreditNote:
    """Take a note back: the invoice owes again, its lines can be credited again, the ledger is reversed.

    What of its refund part was not executed is canceled. ``NotVoidableError`` once any of it was, of a note
    that is void, or that another system issued; ``CreditNoteNotFoundError``, ``VersionMismatchError``.
    """
    found = await get(session, note_id, principal=actor)
    invoice = await _lock_invoice(session, found.invoice_id)
    asked = await _lock_requests(session, note_id)
    statement = select(CreditNote).where(CreditNote.id == note_id).with_for_update(key_share=True)
    note = (await session.scalars(statement, execution_options=FRESH)).one()
    expected.check(note.version)
    _check_voidable(note, asked)
    changed = (
        update(CreditNote)
        .where(CreditNote.id == note_id)
        .values(
            status=str(CreditNoteStatus.void),
            voided_at=datetime.now(UTC),
            version=CreditNote.version + 1,
            updated_at=func.now(),
        )
        .returning(CreditNote)
    )
    note = (await session.scalars(changed, execution_options=FRESH)).one()
    await reduce(session, invoice, actor=actor)
    await ledger.bring_up(session, note)
    await record(session, "credit_note.voided", note, actor=actor, before=CreditNoteStatus.issued)
    for each in asked:
        if each.status in UNDECIDED:
            await requests.cancel(session, each.id, actor=actor)
    return note


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    note: CreditNote,
    *,
    actor: Principal,
    before: CreditNoteStatus | None = None,
) -> None:
    """An event about a note; customers who may see what their account pays see it."""
    told = TOLD if before is None else ("status", "voided_at")
    await events.record(
        session,
        type,
        subject=Subject(NOTE_TYPE, note.id),
        actor=actor,
        before=None if before is None else {"status": str(before), "voided_at": None},
        after={name: getattr(note, name) for name in told} | {"version": note.version},
        account_id=note.account_id,
        customer_visible=note.account_id is not None,
        staff_fields=STAFF_FIELDS,
    )


async def _lock_invoice(session: AsyncSession, invoice_id: UUID) -> Invoice:
    statement = select(Invoice).where(Invoice.id == invoice_id).with_for_update(key_share=True)
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def _lock_requests(session: AsyncSession, note_id: UUID) -> list[RefundRequest]:
    """The note's refund requests, after their payments. New ones come only with a new note."""
    statement = select(RefundRequest.payment_id).where(RefundRequest.credit_note_id == note_id)
    for payment_id in sorted(set(await session.scalars(statement))):
        await payments.lock(session, payment_id)
    locked = (
        select(RefundRequest)
        .where(RefundRequest.credit_note_id == note_id)
        .order_by(RefundRequest.id)
        .with_for_update(key_share=True)
    )
    return list(await session.scalars(locked, execution_options=FRESH))


def _check_voidable(note: CreditNote, asked: list[RefundRequest]) -> None:
    if note.status != CreditNoteStatus.issued:
        raise NotVoidableError("The credit note is void already.", reason="void")
    if note.provider != Provider.tridesk:
        raise NotVoidableError("Another system issued this credit note.", reason="not_issued_here")
    if any(each.status in GOING for each in asked):
        raise NotVoidableError("Its refund was executed.", reason="refund_executed")
