"""Billing cases: what is asked about money, and how far it has come."""

from app.billing.service.cases.changes import change, get, lock, lock_open, subject_of
from app.billing.service.cases.opening import create, open_case, update_case
from app.billing.service.cases.references import check
from app.billing.service.cases.transitions import follow_refund, move

__all__ = [
    "change",
    "check",
    "create",
    "follow_refund",
    "get",
    "lock",
    "lock_open",
    "move",
    "open_case",
    "subject_of",
    "update_case",
]
