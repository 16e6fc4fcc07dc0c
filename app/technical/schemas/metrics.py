"""Metrics of the desk; how each is counted stands with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class GroupBy(StrEnum):
    """What metrics are told apart by: as the tickets are now, not as they were in the period."""

    none = "none"
    team = "team"
    product = "product"
    tag = "tag"
    assignee = "assignee"
    priority = "priority"


Seconds = Annotated[int | None, Meta(description="Business seconds; null when nothing was measured.")]
Share = float | None


class DurationStats(Struct, frozen=True, kw_only=True):
    """Business seconds that clocks had consumed when they were met; pauses do not count.

    The clocks are those that were met in the period, whenever they began, and that a policy's calendar
    counted. A percentile is the least measured value that at least so many per cent do not exceed.
    """

    count: Annotated[int, Meta(description="Clocks that were met in the period.")]
    p50_seconds: Seconds
    p90_seconds: Seconds
    p95_seconds: Seconds


class BreachStats(Struct, frozen=True, kw_only=True):
    """How often deadlines were missed.

    A clock counts in the period in which it was decided: at the deadline that it missed, or when it was met
    in time. One without a target, or canceled in time, counts for nothing; one that is overdue counts a few
    seconds later, when it is noticed.
    """

    decided: Annotated[int, Meta(description="Clocks that were breached or met in time in the period.")]
    breached: Annotated[int, Meta(description="Those of them that missed their deadline.")]
    rate: Annotated[Share, Meta(description="`breached` / `decided`; null when nothing was decided.")]


class Breaches(Struct, frozen=True, kw_only=True):
    """By kind of clock."""

    first_response: BreachStats
    next_reply: BreachStats
    resolution: BreachStats


class Satisfaction(Struct, frozen=True, kw_only=True):
    """Ratings of solves that lie in the period, whenever they were given; the last one of each ticket."""

    count: int
    average: Annotated[Share, Meta(description="Mean score, 1 to 5; null without ratings.")]
    good: Annotated[int, Meta(description="Ratings of 4 and 5.")]
    good_share: Annotated[Share, Meta(description="`good` / `count`; null without ratings.")]


class UnfinishedNow(Struct, frozen=True, kw_only=True):
    """Tickets that are unfinished at the time of the request, by status, whatever the period."""

    new: int
    open: int
    pending: int
    on_hold: int


class Metrics(Struct, frozen=True, kw_only=True):
    """What became of tickets in a period. Those that are merged into others now count for nothing."""

    created: Annotated[int, Meta(description="Tickets created in the period.")]
    solved: Annotated[
        int, Meta(description="Tickets whose first solve lies in the period; later solves do not count.")
    ]
    closed: Annotated[int, Meta(description="Tickets closed in the period.")]
    reopened: Annotated[
        int,
        Meta(
            description="Reopenings in the period: one for each time that a solved ticket was opened. Those"
            " of a ticket whose requester was erased are no longer known."
        ),
    ]
    reopen_rate: Annotated[
        Share,
        Meta(
            description="Of the tickets that `solved` counts, the share that has been reopened since, at any"
            " time until now; null when `solved` is 0."
        ),
    ]
    one_touch: Annotated[
        int,
        Meta(
            description="Tickets that `solved` counts which were not reopened and have exactly one public"
            " reply of the staff; automatic messages do not count."
        ),
    ]
    one_touch_share: Annotated[Share, Meta(description="`one_touch` / `solved`; null when `solved` is 0.")]
    backlog: Annotated[
        int,
        Meta(
            description="Tickets created before `to` that were then neither solved nor closed. A merge that"
            " was undone counts as if it had not been. Of imported tickets as far as the import told."
        ),
    ]
    unfinished_now: UnfinishedNow
    first_reply: Annotated[
        DurationStats, Meta(description="From the ticket's beginning to the staff's first public reply.")
    ]
    resolution: Annotated[DurationStats, Meta(description="From the ticket's beginning to its first solve.")]
    breaches: Breaches
    csat: Satisfaction


class MetricsGroup(Struct, frozen=True, kw_only=True):
    """The tickets of one team, product, tag, assignee or priority."""

    key: Annotated[
        str | None,
        Meta(description="The team's or assignee's id, or the product, tag or priority; null: of none."),
    ]
    name: Annotated[str | None, Meta(description="What people call it; null: of none.")]
    metrics: Metrics


class MetricsReport(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Metrics of a period, of all tickets and by group."""

    from_: datetime
    to: datetime
    group_by: GroupBy
    total: Annotated[Metrics, Meta(description="Of all tickets, each once.")]
    groups: Annotated[
        Sequence[MetricsGroup],
        Meta(
            description="Those with the most tickets created in the period first, at most 1,000. By tag, a"
            " ticket counts with each of its tags, so that the groups may add up to more than the total."
        ),
    ]
    groups_left_off: Annotated[int, Meta(description="Groups beyond those.")]
