"""Stripe over HTTP, against a real server: what is asked, and what each answer, or none, is taken for."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import pytest

from app.billing.constants import RefundStatus
from app.billing.providers.base import ProviderRefusedError, ProviderUnknownError, RefundOrder
from app.billing.providers.stripe import ANSWER_MAX, StripeProvider
from tests.billing.stripe_server import StripeServer, http, serving

KEY = "sk_test_never_logged"
MADE = {"id": "re_1", "object": "refund", "status": "succeeded"}


def provider(server: StripeServer, timeout: float = 2) -> StripeProvider:
    return StripeProvider(api_key=KEY, api_url=server.url, timeout=timeout)


def order(**values: Any) -> RefundOrder:
    given: dict[str, Any] = {"payment": "pi_1", "charge": "ch_1", "amount": 1_250, "currency": "EUR"}
    return RefundOrder(**({"refund_id": uuid4(), "reason": None} | given | values))


def refusal(status: int, **error: str) -> tuple[int, Any]:
    return status, {"error": error}


async def test_a_refund_is_asked_for_under_our_id(caplog):
    caplog.set_level(logging.DEBUG, logger="app")
    asked = order(reason="duplicate")
    async with serving((200, MADE)) as server:
        receipt = await provider(server).refund(asked)
    (request,) = server.requests
    assert request.path == "/v1/refunds"
    assert request.headers["idempotency-key"] == str(asked.refund_id)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.form == {
        "payment_intent": "pi_1",
        "amount": "1250",
        "reason": "duplicate",
        "metadata[refund_id]": str(asked.refund_id),
    }
    assert (receipt.external_id, receipt.status) == ("re_1", RefundStatus.succeeded)
    assert KEY not in caplog.text


async def test_a_charge_without_an_intent_is_named_itself_and_our_own_reasons_stay_here():
    async with serving((200, MADE)) as server:
        await provider(server).refund(order(payment="ch_9", charge=None, reason="goodwill"))
    form = server.requests[0].form
    assert form["charge"] == "ch_9"
    assert not {"payment_intent", "reason"} & set(form)


@pytest.mark.parametrize(
    ("currency", "amount", "asked"),
    [("ISK", 7, "700"), ("UGX", 7, "700"), ("MGA", 700, "7"), ("JPY", 7, "7"), ("KWD", 1_230, "1230")],
)
async def test_amounts_are_in_the_units_that_stripe_counts_in(currency, amount, asked):
    async with serving((200, MADE)) as server:
        await provider(server).refund(order(currency=currency, amount=amount))
    assert server.requests[0].form["amount"] == asked


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("pending", RefundStatus.pending),
        ("requires_action", RefundStatus.pending),
        ("failed", RefundStatus.failed),
        ("canceled", RefundStatus.canceled),
    ],
)
async def test_each_status_of_a_refund_is_understood(told, status):
    async with serving((200, MADE | {"status": told, "failure_reason": "expired"})) as server:
        receipt = await provider(server).refund(order())
    assert (receipt.status, receipt.failure_reason) == (status, "expired")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            refusal(400, type="invalid_request_error", code="charge_already_refunded"),
            "charge_already_refunded",
        ),
        (refusal(404, type="invalid_request_error", code="resource_missing"), "resource_missing"),
        (refusal(402, type="card_error"), "card_error"),
    ],
)
async def test_a_definite_no_is_a_refusal_with_its_code(answer, reason):
    async with serving(answer) as server:
        with pytest.raises(ProviderRefusedError) as refused:
            await provider(server).refund(order())
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        refusal(500, type="api_error"),
        (503, b"<html>"),
        refusal(409, type="idempotency_error"),
        refusal(400, type="idempotency_error"),
        refusal(429, type="rate_limit_error"),
        (400, b"<html>a proxy speaks"),
        (200, b"{"),
        (200, b"[]"),
        (200, b"\xff\xfe"),
        (200, {"id": "re_1", "status": "news"}),
        (200, {"status": "succeeded"}),
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_whatever_else_leaves_open_what_was_done(answer):
    async with serving(answer) as server:
        with pytest.raises(ProviderUnknownError):
            await provider(server).refund(order())
    assert len(server.requests) == 1, "the caller repeats, not we"


async def test_a_redirect_is_not_followed():
    async with serving((200, MADE)) as elsewhere:
        moved = http(307, b"", location=f"{elsewhere.url}/v1/refunds")
        async with serving(moved) as server:
            with pytest.raises(ProviderUnknownError):
                await provider(server).refund(order())
    assert not elsewhere.requests


async def test_an_answer_without_end_is_given_up():
    async with serving((200, b'"' + b"x" * (ANSWER_MAX + 1))) as server:
        with pytest.raises(ProviderUnknownError, match="too large"):
            await provider(server, timeout=10).refund(order())


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_leave_it_open_and_name_the_setting(status, caplog):
    async with serving(refusal(status, type="invalid_request_error", message=f"Bad {KEY}")) as server:
        with pytest.raises(ProviderUnknownError):
            await provider(server).refund(order())
    assert "STRIPE_API_KEY" in caplog.text
    assert KEY not in caplog.text


async def test_a_call_repeated_after_a_time_out_has_its_effect_once():
    asked = order()
    async with serving((200, MADE), (200, MADE | {"id": "re_2"})) as server:
        server.silent = 1
        with pytest.raises(ProviderUnknownError):
            await provider(server, timeout=0.3).refund(asked)
        receipt = await provider(server).refund(asked)
    assert receipt.external_id == "re_1"
    assert len(server.requests) == 2
    assert len(server.done) == 1


async def test_nobody_there_leaves_it_open():
    async with serving((200, MADE)) as server:
        pass
    with pytest.raises(ProviderUnknownError):
        await provider(server).refund(order())


async def test_evidence_is_submitted_by_field_under_the_disputes_key():
    async with serving((200, {"id": "du_1"})) as server:
        await provider(server).submit_evidence("du_1", {"service_date": "2026-11-02", "receipt": ""})
        await provider(server).submit_evidence("../refunds", {"service_date": "2026-11-02"})
    first, second = server.requests
    assert (first.path, first.headers["idempotency-key"]) == ("/v1/disputes/du_1", "evidence-du_1")
    assert first.form == {"evidence[service_date]": "2026-11-02", "submit": "true"}
    assert second.path == "/v1/disputes/..%2Frefunds"
