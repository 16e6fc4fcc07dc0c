"""What the desk asks of a payment provider, and how it answers.

A call either has an effect or none, and the caller may not learn which. So every call names what it is about
(the id of our refund, of the dispute): made again, it has its effect once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.billing.constants import RefundStatus


class ProviderRefusedError(Exception):
    """The provider did nothing and will not: ``reason`` is its stable code, such as ``charge_disputed``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProviderUnknownError(Exception):
    """Nobody knows whether the provider did it: a time-out, a broken connection, a server error, busy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundOrder:
    """A refund to be made. ``payment`` and ``charge`` are the provider's ids; ``amount`` minor units."""

    refund_id: UUID  # also the idempotency key
    payment: str
    charge: str | None
    amount: int
    currency: str
    reason: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundReceipt:
    """What the provider says of a refund."""

    external_id: str
    status: RefundStatus
    failure_reason: str | None = None


class PaymentProvider(Protocol):
    """A payment provider. Errors of each call: ``ProviderRefusedError``, ``ProviderUnknownError``."""

    name: str  # a constants.Provider

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        """Make the refund, once for all calls with its id."""
        ...

    async def submit_evidence(self, dispute: str, evidence: Mapping[str, str]) -> None:
        """Hand the evidence of a dispute (the provider's id) to the bank, for good."""
        ...
