"""Names, limits and lifetimes of the idempotency room."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
KEY_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"  # printable ASCII; HTTP strips spaces around a value
KEY = re.compile(KEY_PATTERN)

# Keys of a handler's opt; `documented(...)` of app.openapi sets them.
REQUIRED = "idempotency_required"
RETURNS_SECRET = "returns_secret"  # noqa: S105 - a name, not a secret

KEPT = timedelta(hours=24)
PURGE_BATCH = 1000  # rows
RESERVED = timedelta(minutes=5)  # a reservation that nobody settled; longer than any answer takes
RETRY_AFTER = 1  # seconds
# What of an answer's headers makes it this answer; the rest belongs to each response anew.
STORED_HEADERS = frozenset({"content-type", "location", "etag", "cache-control", "link"})


class Withheld(StrEnum):
    """Why a stored answer has no body."""

    secret = "secret"  # noqa: S105 - a reason, not a secret
    erased = "erased"
