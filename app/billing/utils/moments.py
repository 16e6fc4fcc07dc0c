"""Moments that callers ask about."""

from __future__ import annotations

from datetime import UTC, datetime

from app.exceptions import InvalidError


def in_utc(moment: datetime | None, *, field: str) -> datetime | None:
    """The moment in UTC; ``InvalidError``, naming ``field``, without a zone or beyond what UTC can say."""
    if moment is None:
        return None
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        message = "Expected a time with a zone"
    except OverflowError:
        message = "Out of range"
    raise InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}])
