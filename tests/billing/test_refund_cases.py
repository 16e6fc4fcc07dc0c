"""A case goes along with the refunds that were asked for on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar

from app.database import Database
from tests.billing.refunding import ToldProvider, asked, key, pay, post
from tests.callers import MakeCaller

CASES = "/v1/billing/cases"


@pytest.fixture
async def provider(app: Litestar) -> AsyncIterator[ToldProvider]:
    provider, before = ToldProvider(), app.state.billing
    app.state.billing = replace(before, provider=provider)
    yield provider
    app.state.billing = before


async def test_a_case_waits_for_approval_then_the_provider_and_is_resolved(
    database: Database, caller: MakeCaller, provider: ToldProvider
) -> None:
    payment = await pay(database)
    provider.payment = payment.external_id
    agent, lead = await caller("agent"), await caller("lead")
    body = {
        "kind": "refund_request",
        "subject": "Charged twice",
        "description": "See November.",
        "account_id": str(payment.account_id),
    }
    made = await agent.client.post(CASES, json=body, headers=key())
    assert made.status_code == 201, made.text
    case_id = made.json()["id"]

    async def stands() -> Any:
        return (await agent.client.get(f"{CASES}/{case_id}")).json()["status"]

    first = (await post(agent.client, "", **asked(payment, case_id=case_id))).json()["id"]
    assert await stands() == "awaiting_approval"
    second = (await post(agent.client, "", **asked(payment, case_id=case_id))).json()["id"]
    await post(lead.client, f"/{first}/approve", note="")
    assert await stands() == "awaiting_approval"
    await post(lead.client, f"/{second}/reject", note="")
    assert await stands() == "open"
    seen: list[Any] = []

    async def look(_: Any) -> None:
        seen.append(await stands())

    provider.meanwhile = look
    await post(agent.client, f"/{first}/execute")
    assert seen == ["awaiting_provider"]
    assert await stands() == "resolved"
    listed = await agent.client.get("/v1/billing/refund-requests", params={"case_id": case_id})
    assert [each["id"] for each in listed.json()["items"]] == [second, first]


async def test_a_case_of_another_account_or_none_is_refused(database: Database, caller: MakeCaller) -> None:
    payment, agent = await pay(database), await caller("agent")
    other = await caller("customer", sees_account=True)
    body = {"kind": "refund_request", "subject": "Mine", "description": "It is mine."}
    theirs = (await other.client.post(CASES, json=body, headers=key())).json()["id"]
    for case_id in (theirs, str(uuid4())):
        answer = await post(agent.client, "", **asked(payment, case_id=case_id))
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_reference")
