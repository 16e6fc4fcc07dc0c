"""One effect for any number of equal requests.

A handler that takes the request's ``session`` has it by itself. ``begin``, ``store`` and ``reserve`` are for
those that open transactions of their own; they take ``keyed: NamedDependency[KeyedRequest | None]``.
"""

from app.idempotency.constants import REQUIRED, RETURNS_SECRET
from app.idempotency.exceptions import Replay
from app.idempotency.keyed import KeyedRequest
from app.idempotency.service import Reservation, begin, forget, purge, reserve, store

__all__ = [
    "REQUIRED",
    "RETURNS_SECRET",
    "KeyedRequest",
    "Replay",
    "Reservation",
    "begin",
    "forget",
    "purge",
    "reserve",
    "store",
]
