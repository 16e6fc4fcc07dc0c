"""The ledger: double entry, append-only; everything that moves money is posted in the same transaction."""

from app.billing.service.ledger.posting import bring_up
from app.billing.service.ledger.proving import verify
from app.billing.service.ledger.reading import balances, net_paid

__all__ = ["balances", "bring_up", "net_paid", "verify"]
