"""Which of two messages about the same thing is the later state, whatever order they arrive in.

Providers send messages late, twice and out of order. Each carries a state, the time of that state at the
provider (whole seconds, often the same for several) and an id. The greatest of the triples below is the state
that holds, so any order and any repetition of the same messages ends in the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from app.billing.constants import (
    CreditNoteStatus,
    DisputeStatus,
    InvoiceStatus,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)

# One-way states: a later one is never left for an earlier one, so the rank decides before the time does.
INVOICE: Mapping[str, int] = MappingProxyType(
    {
        InvoiceStatus.unknown: 0,
        InvoiceStatus.draft: 1,
        InvoiceStatus.open: 2,
        InvoiceStatus.uncollectible: 3,
        InvoiceStatus.paid: 4,
        InvoiceStatus.void: 5,
    }
)
PAYMENT: Mapping[str, int] = MappingProxyType(
    {
        PaymentStatus.unknown: 0,
        PaymentStatus.pending: 1,
        PaymentStatus.failed: 2,  # another attempt of the same payment may succeed
        PaymentStatus.canceled: 3,
        PaymentStatus.succeeded: 4,
    }
)
REFUND: Mapping[str, int] = MappingProxyType(
    {
        RefundStatus.pending: 1,
        RefundStatus.succeeded: 2,
        RefundStatus.canceled: 3,
        RefundStatus.failed: 4,  # also after it had succeeded: the bank sent it back
    }
)
DISPUTE: Mapping[str, int] = MappingProxyType(
    {
        DisputeStatus.warning_needs_response: 1,
        DisputeStatus.warning_under_review: 2,
        DisputeStatus.warning_closed: 3,
        DisputeStatus.needs_response: 4,  # an inquiry may become a dispute
        DisputeStatus.under_review: 5,
        DisputeStatus.prevented: 6,
        DisputeStatus.lost: 7,
        DisputeStatus.won: 8,  # a lost one may be won on appeal
    }
)
CREDIT_NOTE: Mapping[str, int] = MappingProxyType({CreditNoteStatus.issued: 1, CreditNoteStatus.void: 2})

# A subscription goes to and fro, so the time decides; but what has ended does not come back. Within one
# second, in which one is often made and paid for the first time, the rank decides.
ENDED = 100
SUBSCRIPTION: Mapping[str, int] = MappingProxyType(
    {
        SubscriptionStatus.incomplete: 0,
        SubscriptionStatus.trialing: 1,
        SubscriptionStatus.active: 2,
        SubscriptionStatus.past_due: 3,
        SubscriptionStatus.unpaid: 4,
        SubscriptionStatus.paused: 5,
        SubscriptionStatus.incomplete_expired: ENDED,
        SubscriptionStatus.canceled: ENDED + 1,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What is known of a thing: the rank of its state, the state's time at the provider, the message's id."""

    rank: int
    at: datetime | None
    event: str | None

    def is_before(self, other: Seen, *, time_first: bool = False) -> bool:
        """Whether ``other`` holds rather than this. The same message again is no news.

        ``time_first``: of subscriptions, which go to and fro until they end.
        """
        return self._key(time_first=time_first) < other._key(time_first=time_first)

    def _key(self, *, time_first: bool) -> tuple[object, ...]:
        moment = self.at.timestamp() if self.at is not None else float("-inf")
        if time_first:
            return self.rank >= ENDED, moment, self.rank, self.event or ""
        return self.rank, moment, self.event or ""
