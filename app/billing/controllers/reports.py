"""Reports of the desk, as JSON and as CSV."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.desk import Desk
from app.billing.schemas.reports import (
    ApprovalTimes,
    BillingReport,
    CreditsGiven,
    DisputesDecided,
    IncidentCost,
    RefundsMade,
)
from app.billing.service import reports
from app.billing.service.reports import Asked
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.periods import From, To, period
from app.spreadsheets import BOM, lines

Currency = Annotated[
    str | None,
    QueryParameter(name="currency", pattern="^[A-Z]{3}$", description="Only in this currency (ISO 4217)."),
]
AccountId = Annotated[UUID | None, QueryParameter(name="account_id", description="Only of this account.")]


def _asked(
    start: datetime | None, finish: datetime | None, currency: str | None, account_id: UUID | None
) -> Asked:
    since, until = period(start, finish)
    return Asked(since=since, until=until, currency=currency, account_id=account_id)


def _csv(name: str, rows: list[Any], kind: type[Any]) -> Stream:
    """A row a line, the columns named in the first one; no text is one that a spreadsheet would run."""
    headers = {
        "Content-Disposition": f'attachment; filename="billing-{name}.csv"',
        "Cache-Control": "private, no-store",
    }
    return Stream([BOM + lines(reports.table(rows, kind))], media_type="text/csv", headers=headers)


class BillingReportController(Controller):
    """How the desk's money moves. For leads."""

    path = "/reports"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.lead)]  # noqa: RUF012 - likewise

    @get(
        "/refunds",
        operation_id="get_refund_report",
        summary="Get the refund report",
    )
    async def get_refund_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> BillingReport[RefundsMade]:
        """Refunds by reason, month and currency."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, RefundsMade, asked)
        return BillingReport(from_=asked.since, to=asked.until, rows=rows)

    @get(
        "/refunds.csv",
        operation_id="download_refund_report",
        summary="Download the refund report",
        media_type="text/csv",
    )
    async def download_refund_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> Stream:
        """The same as CSV, a row a line."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, RefundsMade, asked)
        return _csv("refunds", rows, RefundsMade)

    @get(
        "/approvals",
        operation_id="get_approval_report",
        summary="Get the approval report",
    )
    async def get_approval_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> BillingReport[ApprovalTimes]:
        """How long refund requests waited for a decision, by who decided."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, ApprovalTimes, asked)
        return BillingReport(from_=asked.since, to=asked.until, rows=rows)

    @get(
        "/approvals.csv",
        operation_id="download_approval_report",
        summary="Download the approval report",
        media_type="text/csv",
    )
    async def download_approval_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> Stream:
        """The same as CSV, a row a line."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, ApprovalTimes, asked)
        return _csv("approvals", rows, ApprovalTimes)

    @get(
        "/credits",
        operation_id="get_credit_report",
        summary="Get the credit report",
    )
    async def get_credit_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> BillingReport[CreditsGiven]:
        """Credit given, by kind and quarter."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, CreditsGiven, asked)
        return BillingReport(from_=asked.since, to=asked.until, rows=rows)

    @get(
        "/credits.csv",
        operation_id="download_credit_report",
        summary="Download the credit report",
        media_type="text/csv",
    )
    async def download_credit_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> Stream:
        """The same as CSV, a row a line."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, CreditsGiven, asked)
        return _csv("credits", rows, CreditsGiven)

    @get(
        "/disputes",
        operation_id="get_dispute_report",
        summary="Get the dispute report",
    )
    async def get_dispute_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> BillingReport[DisputesDecided]:
        """Disputes by reason, with the win rate."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, DisputesDecided, asked)
        return BillingReport(from_=asked.since, to=asked.until, rows=rows)

    @get(
        "/disputes.csv",
        operation_id="download_dispute_report",
        summary="Download the dispute report",
        media_type="text/csv",
    )
    async def download_dispute_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> Stream:
        """The same as CSV, a row a line."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.report(session, DisputesDecided, asked)
        return _csv("disputes", rows, DisputesDecided)

    @get(
        "/incidents",
        operation_id="get_incident_report",
        summary="Get the incident report",
    )
    async def get_incident_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> BillingReport[IncidentCost]:
        """What known issues cost in refunds, credit and reduced invoices, dearest first."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.incidents(session, billing, asked, principal=principal)
        return BillingReport(from_=asked.since, to=asked.until, rows=rows)

    @get(
        "/incidents.csv",
        operation_id="download_incident_report",
        summary="Download the incident report",
        media_type="text/csv",
    )
    async def download_incident_report(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
        start: From = None,
        finish: To = None,
        currency: Currency = None,
        account_id: AccountId = None,
    ) -> Stream:
        """The same as CSV, a row a line."""
        asked = _asked(start, finish, currency, account_id)
        rows = await reports.incidents(session, billing, asked, principal=principal)
        return _csv("incidents", rows, IncidentCost)
