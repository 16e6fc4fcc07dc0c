"""The period of a report: query parameters ``from`` and ``to``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from litestar.params import QueryParameter

from app.requests import refuse_field

LONGEST = timedelta(days=3 * 366)
USUAL = timedelta(days=30)

From = Annotated[
    datetime | None,
    QueryParameter(
        name="from", description="Begin of the period, with a zone; 30 days before `to` when left out."
    ),
]
To = Annotated[
    datetime | None,
    QueryParameter(
        name="to",
        description="End of the period, with a zone, not part of it; now when left out. Three years at most.",
    ),
]


def period(start: datetime | None, finish: datetime | None) -> tuple[datetime, datetime]:
    """Begin and end in UTC, what is left out filled in; ``InvalidError`` names the parameter."""
    until = datetime.now(UTC) if finish is None else _in_utc(finish, "to")
    if start is None and until.year < 2:
        refuse_field("to", "Out of range")
    since = until - USUAL if start is None else _in_utc(start, "from")
    if since >= until:
        refuse_field("from", "Must lie before `to`")
    if until - since > LONGEST:
        refuse_field("from", "Lies more than three years before `to`")
    return since, until


def _in_utc(moment: datetime, field: str) -> datetime:
    if moment.tzinfo is None:
        refuse_field(field, "Expected a time with a zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        refuse_field(field, "Out of range")
