"""Versions of the refund policy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

ROUTE = "/v1/billing/policies"
LEAD = {"role": "lead", "currency": "EUR", "per_request": 200_000, "per_day": 800_000}
ADMIN = {"role": "admin"}


def policy(**given: Any) -> dict[str, Any]:
    """As delivered, so that other tests meet the limits that they know."""
    limits = [
        {"role": role, "currency": currency, "per_request": most, "per_day": 4 * most}
        for role, most in (("agent", 15_000), ("lead", 200_000))
        for currency in ("EUR", "USD")
    ]
    goodwill = [
        {"currency": each, "per_grant": {"agent": 10_000, "lead": 40_000}, "per_quarter": 40_000}
        for each in ("EUR", "USD")
    ]
    return {"name": "Test", "limits": [*limits, ADMIN], "goodwill": goodwill, "approval_hours": 72} | given


async def test_versions_follow_each_other_however_many_come_at_once(as_role):
    async with as_role("admin") as admin:
        answers = await asyncio.gather(*(admin.post(ROUTE, json=policy()) for _ in range(5)))
        assert [each.status_code for each in answers] == [201] * 5
        made = sorted(each.json()["version"] for each in answers)
        assert made == list(range(made[0], made[0] + 5))
        pages, cursor = [], None
        while True:
            page = (
                await admin.get(ROUTE, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            ).json()
            pages += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert [each["version"] for each in pages] == list(range(made[-1], 0, -1))
        assert [each["in_force"] for each in pages] == [True] + [False] * (made[-1] - 1)
        first = (await admin.get(f"{ROUTE}/1")).json()
        assert (first["name"], first["in_force"]) == ("As delivered", False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits": [LEAD, LEAD]},
        {"limits": [LEAD | {"per_request": 800_001}]},
        {"limits": [LEAD | {"per_request": None}]},
        {"limits": [LEAD | {"role": "customer"}]},
        {"limits": [LEAD | {"currency": "XXY"}]},
        {"limits": []},
        {"limits": [LEAD | {"per_day": -1}]},
        {"goodwill": [{"currency": "EUR", "per_grant": {"lead": 5}, "per_quarter": 4}]},
        {"goodwill": [{"currency": "EUR", "per_grant": {"customer": 5}}]},
        {"goodwill": [{"currency": "EUR", "per_grant": {}}] * 2},
        {"approval_hours": 0},
        {"name": ""},
    ],
)
async def test_a_policy_that_contradicts_itself_is_refused(as_role, wrong):
    async with as_role("admin") as admin:
        answer = await admin.post(ROUTE, json=policy(**wrong))
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in {"validation_error", "unknown_currency"}


async def test_only_admins_make_a_version_and_customers_see_none(as_role):
    async with as_role("lead") as lead, as_role("customer") as customer:
        assert (await lead.post(ROUTE, json=policy())).status_code == 403
        assert (await lead.get(ROUTE)).status_code == 200
        assert (await lead.get(f"{ROUTE}/0")).json()["code"] == "refund_policy_not_found"
        assert (await lead.get(f"{ROUTE}/{10**12}")).status_code == 404
        assert (await customer.get(f"{ROUTE}/1")).status_code == 404


@pytest.mark.parametrize("statement", ["update refund_policy set name = 'x'", "delete from refund_policy"])
async def test_the_application_cannot_change_a_version(database, statement):
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.session() as session:
            await session.execute(text(statement))
