"""What an invoice owes less because of its credit notes."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import CreditNoteStatus
from app.billing.models import CreditNote, Invoice
from app.billing.service import ledger
from app.events import Subject
from app.identity.principal import Principal


async def reduce(session: AsyncSession, invoice: Invoice, *, actor: Principal) -> None:
    """Make ``reduced`` of a locked invoice the sum of what its notes that hold reduce; its ledger follows.

    Counted anew each time, so that the order in which notes come and go does not matter.
    """
    statement = select(func.coalesce(func.sum(CreditNote.reduces), 0)).where(
        CreditNote.invoice_id == invoice.id, CreditNote.status == CreditNoteStatus.issued
    )
    before, reduced = invoice.reduced, int(await session.scalar(statement) or 0)
    if reduced == before:
        return
    invoice.reduced = reduced
    invoice.version += 1
    invoice.updated_at = func.now()
    await session.flush()
    await session.refresh(invoice)
    await ledger.bring_up(session, invoice)
    await events.record(
        session,
        "invoice.updated",
        subject=Subject("invoice", invoice.id),
        actor=actor,
        before={"reduced": before},
        after={"reduced": reduced, "version": invoice.version},
        account_id=invoice.account_id,
        customer_visible=invoice.account_id is not None,
    )
