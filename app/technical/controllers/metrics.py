"""Metrics of the desk, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.guards import require
from app.periods import From, To, period
from app.spreadsheets import BOM, lines
from app.technical.schemas.metrics import GroupBy, Metrics, MetricsReport
from app.technical.service import metrics

By = Annotated[GroupBy, QueryParameter(name="group_by", description="What the groups are.")]


class MetricsController(Controller):
    """How the desk is doing. Staff only."""

    path = "/"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        "/metrics",
        operation_id="get_ticket_metrics",
        summary="Get ticket metrics",
        guards=[require(Role.agent)],
    )
    async def get_metrics(
        self,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        group_by: By = GroupBy.none,
    ) -> MetricsReport:
        """Volume, backlog, times in business seconds, breaches, reopenings and satisfaction of a period."""
        return await _measured(session, start, finish, group_by)

    @get(
        "/metrics.csv",
        operation_id="download_ticket_metrics",
        summary="Download ticket metrics",
        guards=[require(Role.agent)],
        media_type="text/csv",
    )
    async def download_metrics(
        self,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        group_by: By = GroupBy.none,
    ) -> Stream:
        """The same as CSV: a row a group, and first one with the key `*` of all tickets.

        A nested member's column is named by its path: `csat_average`. UTF-8 with a byte order mark; a name
        that a spreadsheet would run as a formula begins with an apostrophe.
        """
        report = await _measured(session, start, finish, group_by)
        headers = {
            "Content-Disposition": 'attachment; filename="ticket-metrics.csv"',
            "Cache-Control": "private, no-store",
        }
        return Stream([BOM + lines(_rows(report))], media_type="text/csv", headers=headers)


async def _measured(
    session: AsyncSession, start: datetime | None, finish: datetime | None, group_by: GroupBy
) -> MetricsReport:
    since, until = period(start, finish)
    return await metrics.measure(session, start=since, finish=until, group_by=group_by)


def _rows(report: MetricsReport) -> Iterator[list[Any]]:
    total = dict(_flat(report.total))
    yield ["from", "to", "group_by", "key", "name", *total]
    period = [report.from_.isoformat(), report.to.isoformat(), report.group_by.value]
    yield [*period, "*", "", *total.values()]
    for each in report.groups:
        yield [*period, each.key, each.name, *dict(_flat(each.metrics)).values()]


def _flat(report: Metrics | dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    members = report if isinstance(report, dict) else msgspec.to_builtins(report)
    for name, value in members.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value
