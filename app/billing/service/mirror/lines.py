"""Invoice lines as they are heard: their sums, their taxes, and keeping those that credit notes name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.exceptions import ContradictionError
from app.billing.models import CreditNoteLine, Invoice, InvoiceLine
from app.billing.utils.taxes import Line, shares_of, taxes_of
from app.redaction import redact


@dataclass(frozen=True, kw_only=True, slots=True)
class LineHeard:
    """A line: ``amount`` net in minor units, ``tax_rate`` in percent; its tax where the source tells it."""

    description: str
    amount: int
    tax_rate: Decimal = Decimal(0)
    tax_amount: int | None = None
    quantity: int = 1
    unit_amount: int | None = None
    external_id: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None


def sums(values: Mapping[str, Any], lines: Sequence[LineHeard] | None) -> dict[str, int]:
    """``subtotal``, ``tax`` and ``total``, those that are given and those that follow from the lines."""
    given = {name: values.get(name) for name in ("subtotal", "tax", "total")}
    if lines:
        subtotal = sum(line.amount for line in lines)
        if given["subtotal"] is None:
            given["subtotal"] = subtotal
        if given["tax"] is None:
            given["tax"] = (
                sum(taxes_of([Line(amount=each.amount, rate=each.tax_rate) for each in lines]).values())
                if any(each.tax_amount is None for each in lines)
                else sum(each.tax_amount or 0 for each in lines)
            )
        if given["subtotal"] != subtotal:
            raise _contradiction("subtotal", f"The lines sum to {subtotal}")
    known = given["subtotal"] or 0, given["tax"] or 0
    total = sum(known)
    if given["total"] is not None and given["total"] != total:
        raise _contradiction("total", f"Subtotal and tax sum to {total}")
    return {"subtotal": known[0], "tax": known[1], "total": total}


async def replace(session: AsyncSession, invoice: Invoice, lines: Sequence[LineHeard]) -> bool:
    """Make these the lines of a locked invoice, by their positions; a line keeps its id, so that what refers
    to it stays true. One that is gone goes, unless a credit note names it. Whether any is another now."""
    wanted = [
        asdict(line) | {"position": position, "tax_amount": tax, "description": redact(line.description)}
        for position, (line, tax) in enumerate(zip(lines, _taxes(lines), strict=True), start=1)
    ]
    if wanted == await _known(session, invoice):
        return False
    for values in ({"invoice_id": invoice.id} | each for each in wanted):
        statement = insert(InvoiceLine).values(values)
        await session.execute(
            statement.on_conflict_do_update(index_elements=["invoice_id", "position"], set_=values)
        )
    named = select(CreditNoteLine.id).where(CreditNoteLine.invoice_line_id == InvoiceLine.id)
    await session.execute(
        delete(InvoiceLine).where(
            InvoiceLine.invoice_id == invoice.id, InvoiceLine.position > len(lines), ~named.exists()
        ),
        execution_options={"synchronize_session": False},
    )
    return True


async def _known(session: AsyncSession, invoice: Invoice) -> list[dict[str, Any]]:
    names = [*(each.name for each in fields(LineHeard)), "position"]
    columns = [InvoiceLine.__table__.c[name] for name in names]
    statement = select(*columns).where(InvoiceLine.invoice_id == invoice.id).order_by(InvoiceLine.position)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def has_any(session: AsyncSession, invoice: Invoice) -> bool:
    """Whether the invoice has lines."""
    statement = select(InvoiceLine.id).where(InvoiceLine.invoice_id == invoice.id).limit(1)
    return await session.scalar(statement) is not None


def _taxes(lines: Sequence[LineHeard]) -> list[int]:
    if all(line.tax_amount is not None for line in lines):
        return [line.tax_amount or 0 for line in lines]
    plain = [Line(amount=line.amount, rate=line.tax_rate) for line in lines]
    return shares_of(plain, taxes_of(plain))


def _contradiction(field: str, message: str) -> ContradictionError:
    return ContradictionError(
        "The amounts contradict each other.", errors=[{"field": field, "message": message}]
    )
