"""The sample company's billing: ``db/seeds/billing.json``, told like a provider would tell it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import Provider
from app.billing.models import CreditGrant
from app.billing.service import ledger, mirror
from app.billing.service.mirror import Heard, LineHeard
from app.billing.utils.money import exponent_of

SEEDS = Path(__file__).parent.parent.parent / "db" / "seeds" / "billing.json"


async def load_billing(session: AsyncSession, accounts: Mapping[str, UUID]) -> None:
    """Subscriptions, invoices, payments, refunds, disputes, notes and credit of the sample accounts, in the
    caller's transaction. ``accounts``: external id to id."""
    company = msgspec.json.decode(SEEDS.read_bytes())
    start = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    for each in company["customers"]:
        heard = Heard(provider=Provider.sandbox, at=start)
        account_id = accounts[each["account"]]
        await mirror.record_customer(session, heard, each["external_id"], account_id=account_id)
    for kind, record in (
        ("subscriptions", mirror.record_subscription),
        ("invoices", mirror.record_invoice),
        ("payments", mirror.record_payment),
        ("refunds", mirror.record_refund),
        ("disputes", mirror.record_dispute),
        ("credit_notes", mirror.record_credit_note),
    ):
        for each in company[kind]:
            values = _read(each)
            values.setdefault("customer", None)
            heard = Heard(provider=Provider.sandbox, at=values.pop("at"), event=f"evt_{each['external_id']}")
            if kind == "refunds":
                del values["customer"]
            await record(session, heard, values.pop("external_id"), **values)
    for each in company["credits"]:
        await _grant(session, accounts[each["account"]], _read(each))


async def _grant(session: AsyncSession, account_id: UUID, values: dict[str, Any]) -> None:
    del values["account"]
    grant = CreditGrant(account_id=account_id, exponent=exponent_of(values["currency"]), **values)
    session.add(grant)
    await session.flush()
    await session.refresh(grant)
    await ledger.bring_up(session, grant)


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    """Times and lines as what they are."""
    found = dict(values)
    for name, value in values.items():
        if name == "at" or name.endswith(("_at", "_start", "_end")):
            found[name] = datetime.fromisoformat(value)
    if "lines" in found:
        found["lines"] = [
            LineHeard(**_read(line) | {"tax_rate": Decimal(line["tax_rate"])}) for line in found["lines"]
        ]
    return found
