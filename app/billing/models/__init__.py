"""The billing desk's tables."""

from app.billing.models.cases import Case, CaseReference
from app.billing.models.ledger import LedgerEntry, LedgerTransaction
from app.billing.models.mirror import (
    BillingCustomer,
    Dispute,
    DisputeEvidence,
    Invoice,
    InvoiceLine,
    Payment,
    ProviderEvent,
    Refund,
    SandboxFault,
    SandboxRefund,
    Subscription,
)
from app.billing.models.money import CreditGrant, CreditNote, CreditNoteLine, RefundPolicy, RefundRequest

__all__ = [
    "BillingCustomer",
    "Case",
    "CaseReference",
    "CreditGrant",
    "CreditNote",
    "CreditNoteLine",
    "Dispute",
    "DisputeEvidence",
    "Invoice",
    "InvoiceLine",
    "LedgerEntry",
    "LedgerTransaction",
    "Payment",
    "ProviderEvent",
    "Refund",
    "RefundPolicy",
    "RefundRequest",
    "SandboxFault",
    "SandboxRefund",
    "Subscription",
]
