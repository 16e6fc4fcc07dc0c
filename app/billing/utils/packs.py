"""The evidence pack of a dispute: texts under the names that Stripe's API gives them, made of plain facts.

Stripe takes 20,000 characters a text field and 150,000 in all
(https://docs.stripe.com/disputes/responding); banks read the first pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.billing.utils.money import formatted

FIELD_MAX = 20_000  # characters
PACK_MAX = 150_000  # characters
FIELDS = (
    "product_description",
    "service_date",
    "access_activity_log",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "duplicate_charge_explanation",
    "uncategorized_text",
)
CUT = "\n[…]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A public message: who said it, as what, when."""

    at: datetime
    speaker: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """Something that was delivered or done for the customer."""

    at: datetime
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a pack is made of. ``policy``: passages of the refund policy that was in force, with its title."""

    reason: str | None
    payment: Any
    invoice: Any
    lines: Sequence[Any]
    refunds: Sequence[Any]
    said: Sequence[Said]
    happened: Sequence[Happened]
    policy: Sequence[tuple[str, str]]
    others: Sequence[Any]  # the account's other payments of the same amount


def assemble(facts: Facts) -> dict[str, str]:
    """The texts that have something to say, each within its limit, all within theirs."""
    texts = {
        "product_description": _product(facts),
        "service_date": _service_date(facts),
        "access_activity_log": _list(facts.happened),
        "refund_policy_disclosure": "\n\n".join(f"{title}\n{text}" for title, text in facts.policy),
        "refund_refusal_explanation": _refunds(facts),
        "duplicate_charge_explanation": _duplicates(facts),
        "uncategorized_text": _conversation(facts),
    }
    return bounded({name: text for name, text in texts.items() if text.strip()})


def bounded(texts: dict[str, str]) -> dict[str, str]:
    """Texts cut to what the bank takes; the conversation, which is longest, is cut last of all."""
    found, left = {}, PACK_MAX
    for name in FIELDS:
        text = texts.get(name, "")
        if not text:
            continue
        maximum = min(FIELD_MAX, left)
        if len(text) > maximum:
            text = text[: max(0, maximum - len(CUT))] + CUT
        found[name], left = text, left - len(text)
    return found


def _product(facts: Facts) -> str:
    if facts.invoice is None:
        return facts.payment.description or ""
    invoice = facts.invoice
    heading = f"Invoice {invoice.number or invoice.external_id}"
    if invoice.issued_at is not None:
        heading += f" of {invoice.issued_at:%Y-%m-%d}"
    rows = [
        f"{line.position}. {line.description}: "
        + formatted(line.amount, invoice.currency, invoice.exponent)
        + (
            f", tax {formatted(line.tax_amount, invoice.currency, invoice.exponent)}"
            if line.tax_amount
            else ""
        )
        for line in facts.lines
    ]
    total = formatted(invoice.total, invoice.currency, invoice.exponent)
    paid = "" if facts.payment.paid_at is None else f", paid on {facts.payment.paid_at:%Y-%m-%d %H:%M} UTC"
    return "\n".join([heading, *rows, f"Total: {total}{paid}"])


def _service_date(facts: Facts) -> str:
    starts = [line.period_start for line in facts.lines if line.period_start is not None]
    ends = [line.period_end for line in facts.lines if line.period_end is not None]
    if not starts or not ends:
        return "" if facts.payment.paid_at is None else f"{facts.payment.paid_at:%Y-%m-%d}"
    return f"{min(starts):%Y-%m-%d} to {max(ends):%Y-%m-%d}"


def _list(happened: Sequence[Happened]) -> str:
    return "\n".join(f"{each.at:%Y-%m-%d %H:%M} UTC: {each.what}" for each in happened)


def _refunds(facts: Facts) -> str:
    if not facts.refunds:
        return ""
    rows = [
        f"{each.created_at:%Y-%m-%d}: "
        f"{formatted(each.amount, each.currency, each.exponent)} refunded ({each.status})"
        for each in facts.refunds
    ]
    return "\n".join(["Refunds of this payment:", *rows])


def _duplicates(facts: Facts) -> str:
    if facts.reason != "duplicate" or not facts.others:
        return ""
    rows = [
        f"{each.paid_at:%Y-%m-%d %H:%M} UTC: {formatted(each.captured, each.currency, each.exponent)}, "
        + (each.description or each.external_id)
        for each in facts.others
        if each.paid_at is not None
    ]
    return "\n".join(["The customer's other payments of this amount, each for its own invoice:", *rows])


def _conversation(facts: Facts) -> str:
    if not facts.said:
        return ""
    parts = [f"{each.at:%Y-%m-%d %H:%M} UTC, {each.speaker}:\n{each.text.strip()}" for each in facts.said]
    return "\n\n".join(["What was written with the customer:", *parts])
