"""Credits: capped by role, account and quarter, voided, and suggested from similar solved cases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from app.billing.constants import CreditKind
from app.billing.exceptions import CreditCapError
from app.billing.service.credits import granting
from app.billing.service.credits.caps import quarter_of
from app.billing.service.refunds import policies
from app.database import Database
from app.identity import SYSTEM
from tests.billing.crediting import account_books, bill, post
from tests.callers import Caller, MakeCaller

CARD = "4111 1111 1111 1111"
CASES = "/v1/billing/cases"
GOODWILL = [
    {"currency": "EUR", "per_grant": {"agent": 10_000, "lead": 40_000}, "per_quarter": 40_000},
    {"currency": "JPY", "per_grant": {"lead": 5_000}, "per_quarter": None},
]


@pytest.fixture(autouse=True)
async def policy(database: Database) -> AsyncIterator[int]:
    """A version with these caps; afterwards what was in force is in force again."""
    async with database.session() as session:
        before = await policies.current(session)
        kept = {"name": before.name, "limits": before.limits, "approval_hours": before.approval_hours}
        goodwill = before.goodwill
        version = (await policies.create(session, actor=SYSTEM, goodwill=GOODWILL, **kept)).version
    yield version
    async with database.session() as session:
        await policies.create(session, actor=SYSTEM, goodwill=goodwill, **kept)


@pytest.fixture
async def account_id(database: Database) -> UUID:
    return (await bill(database)).account_id


async def grant(by: Caller, account_id: UUID, amount: int, **given: Any) -> httpx.Response:
    body = {"kind": "goodwill", "amount": amount, "currency": "EUR", "reason": "Sorry."} | given
    return await post(by.client, f"/v1/billing/accounts/{account_id}/credits", **body)


async def granted(by: Caller, account_id: UUID, amount: int, **given: Any) -> dict[str, Any]:
    answer = await grant(by, account_id, amount, **given)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def over(by: Caller, account_id: UUID, amount: int, **given: Any) -> dict[str, Any]:
    answer = await grant(by, account_id, amount, **given)
    assert answer.status_code == 409, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == "credit_cap"
    return problem


async def test_goodwill_is_capped_by_role_and_by_account_and_quarter(caller, account_id, policy):
    agent, lead, admin = [await caller(role) for role in ("agent", "lead", "admin")]
    assert (await over(agent, account_id, 10_001))["left"] == 10_000
    made = await granted(agent, account_id, 10_000, reason=f"Charged {CARD}")
    assert (made["amount"], made["exponent"], made["policy_version"]) == (10_000, 2, policy)
    assert CARD not in made["reason"]
    problem = await over(lead, account_id, 30_001)
    assert {name: problem[name] for name in ("left", "per_grant", "per_quarter", "granted")} == {
        "left": 30_000,
        "per_grant": 40_000,
        "per_quarter": 40_000,
        "granted": 10_000,
    }
    await granted(admin, account_id, 29_999)  # an admin may what a lead may
    assert (await over(agent, account_id, 2))["left"] == 1


async def test_what_the_policy_does_not_name_is_not_granted(caller, account_id):
    agent, lead = await caller("agent"), await caller("lead")
    assert (await over(lead, account_id, 1, currency="USD"))["left"] == 0
    assert (await over(agent, account_id, 1, currency="JPY"))["left"] == 0
    for _ in range(3):
        await granted(lead, account_id, 5_000, currency="JPY")  # no limit a quarter
    answer = await grant(lead, account_id, 1, currency="XAU")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_currency")


async def test_voided_goodwill_does_not_count(caller, account_id):
    lead = await caller("lead")
    made = await granted(lead, account_id, 40_000)
    await over(lead, account_id, 1)
    answer = await post(lead.client, f"/v1/billing/accounts/{account_id}/credits/{made['id']}/void")
    assert answer.status_code == 200, answer.text
    await granted(lead, account_id, 40_000)


async def test_the_last_quarters_goodwill_does_not_count(caller, account_id, database):
    lead = await caller("lead")
    made = await granted(lead, account_id, 40_000)
    start, _ = quarter_of(datetime.now(UTC))
    moved = text("update credit_grant set granted_at = :at where id = :id")
    async with database.session() as session:
        await session.execute(moved, {"at": start, "id": made["id"]})
    await over(lead, account_id, 1)
    async with database.session() as session:
        await session.execute(moved, {"at": start - timedelta(microseconds=1), "id": made["id"]})
    await granted(lead, account_id, 40_000)


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-01-01T00:00:00+00:00", "2026-01-01", "2026-04-01"),
        ("2026-03-31T23:59:59.999999+00:00", "2026-01-01", "2026-04-01"),
        ("2026-04-01T00:30:00+02:00", "2026-01-01", "2026-04-01"),
        ("2026-12-31T23:30:00-01:00", "2027-01-01", "2027-04-01"),
        ("2026-11-23T12:00:00+00:00", "2026-10-01", "2027-01-01"),
    ],
)
def test_quarters_are_utcs(moment: str, start: str, end: str) -> None:
    found = quarter_of(datetime.fromisoformat(moment))
    assert [each.date().isoformat() for each in found] == [start, end]


async def test_parallel_grants_never_exceed_the_cap_together(caller, account_id, database):
    """50 at once of 1500 each, of which 26 fit into 40000."""
    lead = await caller("lead")

    async def give() -> int:
        try:
            async with database.session() as session:
                row = await granting.grant(
                    session,
                    actor=lead.principal,
                    account_id=account_id,
                    kind=CreditKind.goodwill,
                    amount=1_500,
                    currency="EUR",
                    reason="at once",
                )
                return row.amount
        except CreditCapError:
            return 0

    amounts = await asyncio.gather(*(give() for _ in range(50)))
    assert sum(amounts) == 39_000
    assert (await account_books(database, account_id))["goodwill"] == 39_000


async def test_what_is_owed_is_not_capped_and_a_leads_to_say(caller, account_id):
    agent, lead = await caller("agent"), await caller("lead")
    for kind in ("service", "referral", "overpayment", "adjustment"):
        assert (await grant(agent, account_id, 100, kind=kind)).status_code == 403
        made = await granted(lead, account_id, 90_000, kind=kind)
        assert made["policy_version"] is None
    await granted(agent, account_id, 10_000)  # nor does it use the cap up


async def test_the_ledger_follows_a_grant_and_its_voiding(caller, account_id, database):
    agent, lead = await caller("agent"), await caller("lead")
    before = await account_books(database, account_id)
    made = await granted(agent, account_id, 700)
    books = await account_books(database, account_id)
    assert (books["goodwill"], books["customer_credit"]) == (700, -700)
    path = f"/v1/billing/accounts/{account_id}/credits/{made['id']}/void"
    assert (await post((await caller("agent")).client, path)).status_code == 403
    answer = await post(lead.client, path)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert await account_books(database, account_id) == before
    again = await post(lead.client, path)
    assert (again.status_code, again.json()["code"]) == (409, "not_voidable")


async def test_customers_read_their_own_and_nobody_elses(caller, account_id):
    lead = await caller("lead")
    issue = {"title": "Exports stop", "description": "They time out."}
    issue_id = (await lead.client.post("/v1/technical/issues", json=issue)).json()["id"]
    made = await granted(lead, account_id, 100, reason="between us", issue_id=issue_id)
    path = f"/v1/billing/accounts/{account_id}/credits"
    owner = await caller("customer", account_id=account_id, sees_account=True)
    shown = (await owner.client.get(path)).json()["items"][0]
    hidden = ("reason", "issue_id", "policy_version", "granted_by_id")
    assert (shown["id"], [shown[name] for name in hidden]) == (made["id"], [None] * 4)
    assert (await owner.client.get(f"{path}/{made['id']}")).json() == shown
    assert (await owner.client.get(path, params={"issue_id": made["issue_id"]})).status_code == 403
    for shut_out in (
        await caller("customer", account_id=account_id),
        await caller("customer", sees_account=True),
    ):
        assert (await shut_out.client.get(path)).status_code == 404
        assert (await shut_out.client.get(f"{path}/{made['id']}")).status_code == 404
    assert (await grant(owner, account_id, 1)).status_code == 404
    other = f"/v1/billing/accounts/{uuid4()}/credits"
    assert (await lead.client.get(other)).status_code == 404
    assert (await lead.client.get(f"{other}/{made['id']}")).status_code == 404
    assert (await grant(lead, uuid4(), 1)).json()["code"] == "account_not_found"


async def test_credits_are_filtered(caller, account_id):
    lead = await caller("lead")
    first = await granted(lead, account_id, 100)
    second = await granted(lead, account_id, 200, kind="service")
    path = f"/v1/billing/accounts/{account_id}/credits"
    await post(lead.client, f"{path}/{first['id']}/void")
    for params, expected in (
        ({}, [second, first]),
        ({"kind": "service"}, [second]),
        ({"voided": "true"}, [first]),
        ({"voided": "false"}, [second]),
        ({"sort": "amount"}, [first, second]),
        ({"currency": "USD"}, []),
    ):
        found = (await lead.client.get(path, params=params)).json()["items"]
        assert [each["id"] for each in found] == [each["id"] for each in expected], params


async def open_case(by: Caller, words: str) -> dict[str, Any]:
    body = {"kind": "credit_request", "subject": f"Outage {words}", "description": f"We lost a day: {words}."}
    answer = await by.client.post(CASES, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def solve(by: Caller, case: dict[str, Any]) -> None:
    answer = await by.client.post(f"{CASES}/{case['id']}/transitions", json={"to": "resolved"})
    assert answer.is_success, answer.text


async def suggested(by: Caller, case: dict[str, Any], **params: Any) -> dict[str, Any]:
    headers = {"Accept-Language": "de-DE, en;q=0.5"}
    path = f"{CASES}/{case['id']}/suggested-credit"
    answer = await by.client.get(path, params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


@pytest.fixture
async def solved(caller: MakeCaller, unique: str) -> list[dict[str, Any]]:
    """Like cases of other accounts: three solved with 2000, 9000 and 3000 of credit, one without any, and one
    that is open and was given 100."""
    lead, found = await caller("lead"), []
    for amount in (2_000, 9_000, 3_000, None, 100):
        customer = await caller("customer")
        case = await open_case(customer, unique)
        if amount is not None:
            await granted(lead, customer.account_id, amount, kind="service", case_id=case["id"])
        if amount != 100:
            await solve(lead, case)
        found.append(case)
    return found


async def test_the_median_of_similar_solved_cases_is_suggested_with_the_reason(caller, solved, unique):
    agent, customer = await caller("agent"), await caller("customer")
    case = await open_case(customer, unique)
    shown = await suggested(agent, case, currency="EUR")
    assert shown["why_none"] is None, shown
    assert shown["amount"] == {"amount": 3_000, "currency": "EUR", "exponent": 2, "formatted": "30,00\xa0€"}
    assert {each["case_id"]: each["granted"] for each in shown["cases"]} == {
        solved[0]["id"]: 2_000,
        solved[1]["id"]: 9_000,
        solved[2]["id"]: 3_000,
    }
    assert shown["left"]["amount"] == 10_000
    assert (await suggested(agent, case, currency="USD"))["why_none"] == "no_similar_cases"
    await granted(await caller("lead"), customer.account_id, 38_500)
    capped = await suggested(agent, case, currency="EUR")
    assert (capped["amount"]["amount"], capped["median"]["amount"]) == (1_500, 3_000)
    await granted(agent, customer.account_id, 1_500)
    assert (await suggested(agent, case, currency="EUR"))["why_none"] == "cap_reached"


@pytest.mark.usefixtures("solved")
async def test_nothing_alike_suggests_nothing_and_says_why(caller, unique):
    agent, customer = await caller("agent"), await caller("customer")
    case = await open_case(customer, f"{unique[::-1]} wholly different words")
    shown = await suggested(agent, case, currency="EUR")
    assert (shown["amount"], shown["why_none"], shown["cases"]) == (None, "no_similar_cases", [])
    assert (await suggested(agent, case))["why_none"] == "no_currency"
    path = f"{CASES}/{case['id']}/suggested-credit"
    assert (await customer.client.get(path)).status_code == 404
    assert (await agent.client.get(f"{CASES}/{uuid4()}/suggested-credit")).status_code == 404


async def test_the_currency_is_the_one_that_the_account_pays_in(caller, account_id):
    agent = await caller("agent")
    case = await open_case(await caller("customer", account_id=account_id), "in euros")
    assert (await suggested(agent, case))["left"]["currency"] == "EUR"
