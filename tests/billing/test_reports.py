"""Reports against sums made by hand, on rows of an account of their own."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.database import Database
from tests.billing.test_evidence import disputed
from tests.callers import Caller, MakeCaller

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERIOD = {"from": "2026-10-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
PAYMENT = """
insert into payment (provider, external_id, account_id, status, currency, exponent, amount, captured, paid_at)
values ('manual', :name, :account, 'succeeded', :currency, 2, 1000000, 1000000, :at) returning id
"""
REFUND = """
insert into refund (provider, external_id, payment_id, account_id, status, amount, currency, exponent, reason,
                    created_at)
values ('manual', :name, :payment, :account, :status, :amount, :currency, 2, :reason, :at) returning id
"""
REQUEST = """
insert into refund_request (payment_id, account_id, amount, currency, exponent, reason, status, requested_by,
                            decided_by, decided_role, decided_at, created_at, refund_id, issue_id, case_id)
values (:payment, :account, :amount, :currency, 2, :reason, :status, 'a', 'b', :role, :decided, :at, :refund,
        :issue, :case)
"""
GRANT = """
insert into credit_grant (account_id, kind, amount, currency, exponent, reason, granted_at, voided_at,
                          issue_id)
values (:account, :kind, :amount, :currency, 2, 'x', :at, :voided, :issue)
"""


class Books:
    """Rows of one account, put in by hand."""

    def __init__(self, database: Database, account_id: UUID) -> None:
        self.database = database
        self.account_id = account_id

    async def _insert(self, statement: str, **values: Any) -> Any:
        values = {"account": self.account_id, "at": NOW, "name": uuid4().hex, "currency": "EUR"} | values
        async with self.database.session() as session:
            found = await session.execute(text(statement), values)
            return found.scalar_one() if "returning" in statement else None

    async def refund(self, amount: int, status: str = "succeeded", **more: Any) -> None:
        values = {"reason": "other", "role": "agent", "minutes": 10, "issue": None, "case": None} | more
        payment = await self._insert(PAYMENT, currency=values.get("currency", "EUR"))
        of = {"payment": payment, "amount": amount, "reason": values["reason"]}
        of |= {name: values[name] for name in ("currency", "at") if name in values}
        refund = await self._insert(REFUND, status=status, **of)
        decided = values.get("at", NOW) + timedelta(minutes=values["minutes"])
        done = {"succeeded": "refunded", "pending": "executing", "failed": "failed"}[status]
        rest = {name: values[name] for name in ("role", "issue", "case")}
        await self._insert(REQUEST, status=done, refund=refund, decided=decided, **of, **rest)

    async def grant(self, amount: int, kind: str = "goodwill", **more: Any) -> None:
        await self._insert(GRANT, amount=amount, kind=kind, **({"voided": None, "issue": None} | more))


@pytest.fixture
async def lead(caller: MakeCaller) -> Caller:
    return await caller("lead")


@pytest.fixture
async def books(database: Database, caller: MakeCaller) -> Books:
    owner = await caller("customer")
    assert owner.account_id is not None
    return Books(database, owner.account_id)


async def rows(by: Caller, name: str, books: Books, **more: Any) -> list[dict[str, Any]]:
    parameters = PERIOD | {"account_id": str(books.account_id)} | more
    response = await by.client.get(f"/v1/billing/reports/{name}", params=parameters)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["rows"]
    return found


async def test_refunds_are_summed_by_reason_month_and_currency(lead, books):
    await books.refund(100, reason="duplicate")
    await books.refund(250, reason="duplicate")
    await books.refund(999, "failed", reason="duplicate")
    await books.refund(70, "pending", reason="goodwill")
    await books.refund(40, reason="duplicate", currency="USD")
    await books.refund(5, reason="duplicate", at=NOW - timedelta(days=31))
    await books.refund(5, reason="duplicate", at=NOW - timedelta(days=200))
    found = await rows(lead, "refunds", books)
    shown = [
        (
            each["month"],
            each["currency"],
            each["reason"],
            each["refunds"],
            each["pending"],
            each["failed"],
            each["amount"],
        )
        for each in found
    ]
    assert shown == [
        ("2026-10", "EUR", "duplicate", 1, 0, 0, 5),
        ("2026-11", "EUR", "duplicate", 2, 0, 1, 350),
        ("2026-11", "EUR", "goodwill", 0, 1, 0, 0),
        ("2026-11", "USD", "duplicate", 1, 0, 0, 40),
    ]
    assert [each["currency"] for each in await rows(lead, "refunds", books, currency="USD")] == ["USD"]


async def test_approval_times_are_medians_by_role(lead, books):
    for minutes in (10, 20, 60):
        await books.refund(100, minutes=minutes)
    await books.refund(100, role="lead", minutes=5)
    found = {each["role"]: each for each in await rows(lead, "approvals", books)}
    assert (found["agent"]["approved"], found["agent"]["median_seconds"]) == (3, 1200.0)
    assert found["agent"]["p90_seconds"] == pytest.approx(1200 + 0.8 * 2400)
    assert (found["lead"]["approved"], found["lead"]["median_seconds"]) == (1, 300.0)


async def test_credits_are_summed_by_kind_and_quarter_without_what_was_voided(lead, books):
    await books.grant(100)
    await books.grant(50)
    await books.grant(7, voided=NOW)
    await books.grant(30, kind="service")
    found = await rows(lead, "credits", books)
    assert [(each["kind"], each["quarter"], each["credits"], each["amount"]) for each in found] == [
        ("goodwill", "2026-Q4", 2, 150),
        ("service", "2026-Q4", 1, 30),
    ]


async def test_the_win_rate_is_of_what_was_decided(lead, books, database):
    for status in ("won", "lost", "lost", "needs_response"):
        await disputed(database, books.account_id, status=status)
    (found,) = await rows(
        lead, "disputes", books, **{"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    )
    assert (found["disputes"], found["won"], found["lost"], found["open"]) == (4, 1, 2, 1)
    assert found["win_rate"] == pytest.approx(1 / 3)
    assert (found["amount"], found["amount_lost"]) == (4 * 9900, 2 * 9900)


async def test_an_incident_costs_what_is_linked_to_it_directly_or_by_its_case(lead, books, caller, database):
    issue = {"title": "Exports stop", "description": "They time out."}
    made = (await lead.client.post("/v1/technical/issues", json=issue)).json()
    case = {
        "kind": "refund_request",
        "subject": "Because of the incident",
        "description": "Please refund.",
        "account_id": str(books.account_id),
        "issue_id": made["id"],
    }
    case_id = (await lead.client.post("/v1/billing/cases", json=case)).json()["id"]
    await books.refund(100, issue=made["id"])
    await books.refund(60, case=case_id)
    await books.refund(999)
    await books.grant(40, issue=made["id"])
    (found,) = await rows(lead, "incidents", books)
    assert (found["refunded"], found["credited"], found["reduced"], found["amount"]) == (160, 40, 0, 200)
    assert (found["number"], found["title"], found["accounts"]) == (made["number"], "Exports stop", 1)


async def test_nothing_is_linked_to_an_issue_that_nobody_knows(lead, books):
    case = {"kind": "refund_request", "subject": "x", "description": "y", "issue_id": str(uuid4())}
    made = await lead.client.post("/v1/billing/cases", json=case)
    credit = {"kind": "service", "amount": 1, "currency": "EUR", "reason": "x", "issue_id": str(uuid4())}
    path = f"/v1/billing/accounts/{books.account_id}/credits"
    granted = await lead.client.post(path, json=credit, headers={"Idempotency-Key": str(uuid4())})
    assert [(each.status_code, each.json()["field"]) for each in (made, granted)] == [(422, "issue_id")] * 2


@pytest.mark.parametrize("name", ["refunds", "approvals", "credits", "disputes", "incidents"])
async def test_csv_says_what_json_says(lead, books, name):
    await books.refund(100)
    await books.grant(40)
    parameters = PERIOD | {"account_id": str(books.account_id)}
    response = await lead.client.get(f"/v1/billing/reports/{name}.csv", params=parameters)
    assert response.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    told = await rows(lead, name, books)
    assert [{k: "" if v is None else str(v) for k, v in each.items()} for each in told] == table


async def test_reports_are_for_leads_and_refuse_an_impossible_period(lead, books, caller):
    agent = await caller("agent")
    assert (await agent.client.get("/v1/billing/reports/refunds")).status_code == 403
    customer = await caller("customer", sees_account=True)
    assert (await customer.client.get("/v1/billing/reports/refunds")).status_code in {403, 404}
    backwards = {"from": "2026-12-01T00:00:00Z", "to": "2026-10-01T00:00:00Z"}
    response = await lead.client.get("/v1/billing/reports/refunds", params=backwards)
    assert (response.status_code, response.json()["code"]) == (400, "validation_error")
