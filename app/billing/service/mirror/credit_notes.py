"""Recording credit notes that were issued elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.models import CreditNote
from app.billing.service import ledger
from app.billing.service.credit_notes.reducing import reduce
from app.billing.service.mirror.hearing import Heard, fill, keep, locked, own, owned, owner_of, seen_of
from app.billing.service.mirror.references import invoice_row
from app.billing.utils import ordering
from app.billing.utils.money import exponent_of
from app.billing.utils.ordering import Seen
from app.identity.principal import SYSTEM, Principal


async def record_credit_note(
    session: AsyncSession,
    heard: Heard,
    external_id: str,
    *,
    currency: str,
    invoice: str,
    customer: str | None = None,
    account_id: UUID | None = None,
    issued_at: datetime | None = None,
    actor: Principal = SYSTEM,
    **values: Any,
) -> CreditNote:
    """A credit note that was issued elsewhere. What it does not allocate settles outside the provider."""
    owner = await owner_of(session, heard, customer=customer, account_id=account_id)
    bill = await invoice_row(session, heard, invoice, currency)
    owner = replace(owner, account_id=owner.account_id or bill.account_id)
    values |= {"currency": currency, "exponent": exponent_of(currency), "invoice_id": bill.id}
    values |= {"issued_at": issued_at or heard.at}
    parts = ("reduces", "refund_amount", "credit_amount", "out_of_band_amount")
    values |= {name: values.get(name) or 0 for name in parts}
    row, is_new = await locked(session, CreditNote, heard, external_id, values)
    seen = Seen(rank=ordering.CREDIT_NOTE[values["status"]], at=heard.at, event=heard.event)
    own(row, owner)
    if issued_at is None and not is_new:
        values["issued_at"] = min(row.issued_at, heard.at)
    if is_new or seen_of(row).is_before(seen):
        await keep(session, row, values | owned(row), seen, actor=actor, is_new=is_new)
    else:
        fill(row, values)
    await session.flush()
    await reduce(session, bill, actor=actor)
    await ledger.bring_up(session, row)
    return row
