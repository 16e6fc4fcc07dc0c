"""Metrics of a period: tickets and breaches counted by Postgres, business time by the clocks' own calendars.

A clock stores the times it ran, not what it consumed: calendars count that here, a batch at a time and in
another thread, so that a long period holds up nobody and takes eight bytes a clock.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import load_sql
from app.identity.models import Person
from app.sla import ClockKind, ClockState
from app.sla.engine import CalendarRef, Clock, Span
from app.sla.service.rows import Timelines, timelines_of
from app.technical.models import Team
from app.technical.schemas.metrics import (
    Breaches,
    BreachStats,
    DurationStats,
    GroupBy,
    Metrics,
    MetricsGroup,
    MetricsReport,
    Satisfaction,
    UnfinishedNow,
)

SQL = Path(__file__).parent.parent / "sql"
BATCH = 2_000
GROUPS_MAX = 1_000
KEYS: Mapping[GroupBy, str] = {
    GroupBy.none: "CAST('{}' AS text[])",
    GroupBy.team: "array[CAST(t.team_id AS text)]",
    GroupBy.product: "array[t.product]",
    GroupBy.tag: "case when cardinality(t.tags) = 0 then array[CAST(null AS text)] else t.tags end",
    GroupBy.assignee: "array[CAST(t.assignee_id AS text)]",
    GroupBy.priority: "array[t.priority]",
}
SPANS = msgspec.json.Decoder(tuple[Span, ...])
Place = tuple[bool, str | None]  # whether it is that of all tickets; otherwise the group's key
TOTAL: Place = (True, None)


@dataclass(slots=True)
class _Found:
    """What was found of one group."""

    counts: Mapping[str, int] = field(default_factory=lambda: defaultdict(int))
    breaches: dict[str, tuple[int, int]] = field(default_factory=dict)  # kind → decided, breached
    durations: dict[str, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("q")))


async def measure(
    session: AsyncSession, *, start: datetime, finish: datetime, group_by: GroupBy
) -> MetricsReport:
    """The metrics of ``start`` (inclusive) to ``finish`` (exclusive), both with a zone."""
    found: defaultdict[Place, _Found] = defaultdict(_Found)
    period = {"start": start, "finish": finish}
    for row in await session.execute(statement("metrics_tickets", group_by), period):
        found[row.is_total, row.key].counts = row._asdict()
    for row in await session.execute(statement("metrics_breaches", group_by), period):
        found[row.is_total, row.key].breaches[row.kind] = (row.decided, row.breached)
    await _add_durations(session, found, group_by, period)
    total = _metrics(found.pop(TOTAL, _Found()))
    order = sorted(found, key=lambda each: (-found[each].counts["created"], each[1] is None, each[1]))
    shown = [key for _, key in order[:GROUPS_MAX]]
    names = await _names(session, group_by, [key for key in shown if key is not None])
    return MetricsReport(
        from_=start,
        to=finish,
        group_by=group_by,
        total=total,
        groups=[
            MetricsGroup(key=key, name=names.get(key or ""), metrics=_metrics(found[False, key]))
            for key in shown
        ],
        groups_left_off=len(order) - len(shown),
    )


@cache
def statement(name: str, group_by: GroupBy) -> TextClause:
    """The statement in ``sql/<name>.sql``, with the groups that a ticket ``t`` is in."""
    return text(load_sql(SQL / f"{name}.sql").replace("{keys}", KEYS[group_by]))


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """By nearest rank: the least value that at least so many per cent of them do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


async def _add_durations(
    session: AsyncSession, found: defaultdict[Place, _Found], group_by: GroupBy, period: Mapping[str, Any]
) -> None:
    timelines: Timelines = {}
    rows = await session.stream(statement("metrics_durations", group_by), period)
    async for batch in rows.partitions(BATCH):
        decoded = await asyncio.to_thread(_decoded, batch)
        used = {span.calendar for _, _, spans in decoded for span in spans if span.calendar is not None}
        if missing := used - set(timelines):
            timelines |= await timelines_of(session, (), *missing)
        await asyncio.to_thread(_count, decoded, timelines, found)


def _decoded(batch: Sequence[Any]) -> list[tuple[str, Sequence[str | None], tuple[Span, ...]]]:
    return [(kind, keys, SPANS.decode(spans)) for kind, keys, spans in batch]


def _count(
    decoded: Sequence[tuple[str, Sequence[str | None], tuple[Span, ...]]],
    timelines: Mapping[CalendarRef, Any],
    found: defaultdict[Place, _Found],
) -> None:
    for kind, keys, spans in decoded:
        last = max((span.end or span.start for span in spans), default=0)
        clock = Clock(started=0, spans=spans, state=ClockState.met)
        seconds = clock.consumed(last, timelines)
        for place in (TOTAL, *((False, key) for key in keys)):
            found[place].durations[kind].append(seconds)


async def _names(session: AsyncSession, group_by: GroupBy, keys: Sequence[str]) -> Mapping[str, str | None]:
    if group_by not in {GroupBy.team, GroupBy.assignee}:
        return {key: key for key in keys}
    model = Team if group_by is GroupBy.team else Person
    wanted = select(model.id, model.name).where(model.id.in_([UUID(key) for key in keys]))
    return {str(identity): name for identity, name in await session.execute(wanted)}


def _metrics(found: _Found) -> Metrics:
    counts = found.counts
    return Metrics(
        created=counts["created"],
        solved=counts["solved"],
        closed=counts["closed"],
        reopened=counts["reopened"],
        reopen_rate=_share(counts["solved_and_reopened"], counts["solved"]),
        one_touch=counts["one_touch"],
        one_touch_share=_share(counts["one_touch"], counts["solved"]),
        backlog=counts["backlog"],
        unfinished_now=UnfinishedNow(
            new=counts["now_new"],
            open=counts["now_open"],
            pending=counts["now_pending"],
            on_hold=counts["now_on_hold"],
        ),
        first_reply=_durations(found, ClockKind.first_response),
        resolution=_durations(found, ClockKind.resolution),
        breaches=Breaches(
            first_response=_breaches(found, ClockKind.first_response),
            next_reply=_breaches(found, ClockKind.next_reply),
            resolution=_breaches(found, ClockKind.resolution),
        ),
        csat=Satisfaction(
            count=counts["ratings"],
            average=_share(counts["score_sum"], counts["ratings"]),
            good=counts["good"],
            good_share=_share(counts["good"], counts["ratings"]),
        ),
    )


def _durations(found: _Found, kind: ClockKind) -> DurationStats:
    ordered = sorted(found.durations.get(kind, ()))
    return DurationStats(
        count=len(ordered),
        p50_seconds=percentile(ordered, 50),
        p90_seconds=percentile(ordered, 90),
        p95_seconds=percentile(ordered, 95),
    )


def _breaches(found: _Found, kind: ClockKind) -> BreachStats:
    decided, breached = found.breaches.get(kind, (0, 0))
    return BreachStats(decided=decided, breached=breached, rate=_share(breached, decided))


def _share(part: int, whole: int) -> float | None:
    """Rounded to six digits behind the point."""
    return round(part / whole, 6) if whole else None
