"""The mirror: what is known of the payment provider's world, whoever tells it and in whatever order."""

from app.billing.service.mirror.credit_notes import record_credit_note
from app.billing.service.mirror.customers import record_customer
from app.billing.service.mirror.hearing import Heard
from app.billing.service.mirror.lines import LineHeard
from app.billing.service.mirror.references import link_payment
from app.billing.service.mirror.refunds import record_refund
from app.billing.service.mirror.things import (
    record_dispute,
    record_invoice,
    record_payment,
    record_subscription,
)

__all__ = [
    "Heard",
    "LineHeard",
    "link_payment",
    "record_credit_note",
    "record_customer",
    "record_dispute",
    "record_invoice",
    "record_payment",
    "record_refund",
    "record_subscription",
]
