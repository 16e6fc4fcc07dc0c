"""The generic cell rate algorithm (ITU-T I.371, annex A), on one row a caller.

A caller has a bucket of ``per_minute`` requests that fills evenly, an empty one in a minute. What is stored
is the moment at which it will be full: a request moves it on by 60 / ``per_minute`` seconds, and is refused
if that would be more than 60 seconds from now. The row's lock puts requests of all processes in one order,
and the database's clock times them, so the count is exact however many servers there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database

WINDOW = 60.0  # seconds in which an empty bucket fills

TAKE = text("""
insert into rate_limit as bucket (principal_id, full_at)
values (:principal_id, clock_timestamp() + make_interval(secs => :step))
on conflict (principal_id) do update
    set full_at = greatest(bucket.full_at, clock_timestamp()) + make_interval(secs => :step)
    where bucket.full_at <= clock_timestamp() + make_interval(secs => :window - :step)
returning extract(epoch from full_at - clock_timestamp())::float8
""")
# After the statement above, which holds the row's lock: nobody has changed it since.
WAIT = text("""
select extract(epoch from full_at - clock_timestamp())::float8
from rate_limit where principal_id = :principal_id
""")
PURGE = text("delete from rate_limit where full_at < now()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one request.

    ``seconds``: until the bucket is full. ``retry_after``: whole seconds until a request would pass; None for
    one that did.
    """

    limit: int
    seconds: float
    retry_after: int | None = None

    @property
    def remaining(self) -> int:
        """Requests left at once."""
        if self.retry_after is not None:
            return 0
        # The clock goes on between the decision and the reading: a hair's breadth is no request.
        return max(0, math.floor((WINDOW - self.seconds) * self.limit / WINDOW + 1e-6))

    @property
    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-03, with ``Retry-After`` (RFC 9110) when refused."""
        headers = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(max(0, math.ceil(self.seconds))),
        }
        return headers if self.retry_after is None else headers | {"Retry-After": str(self.retry_after)}


async def take(session: AsyncSession, principal_id: UUID, *, per_minute: int) -> Verdict:
    """Count one request of a caller; one round trip, two for a refusal, which costs the caller nothing.

    Holds the caller's row until the transaction ends: let it be a short one.
    """
    step = WINDOW / per_minute
    values = {"principal_id": principal_id, "step": step, "window": WINDOW}
    seconds = await session.scalar(TAKE, values)
    if seconds is not None:
        return Verdict(limit=per_minute, seconds=seconds)
    seconds = await session.scalar(WAIT, {"principal_id": principal_id}) or 0.0
    return Verdict(limit=per_minute, seconds=seconds, retry_after=max(1, math.ceil(seconds + step - WINDOW)))


async def purge_idle(database: Database) -> int:
    """Remove full buckets, which say what no row says; how many. To be run now and then."""
    async with database.session() as session:
        found = await session.execute(PURGE)
    return found.rowcount  # type: ignore[attr-defined, no-any-return]  # a cursor's result
