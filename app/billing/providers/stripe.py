"""Stripe over HTTP: refunds and dispute evidence. No retries here: the callers repeat with the same key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from app.billing.constants import Provider, RefundReason, RefundStatus
from app.billing.providers.base import (
    ProviderRefusedError,
    ProviderUnknownError,
    RefundOrder,
    RefundReceipt,
)
from app.billing.providers.stripe_amounts import to_stripe

logger = logging.getLogger(__name__)

ANSWER_MAX = 1_000_000  # bytes; a refund is a few kilobytes
# Stripe knows three reasons, and takes none.
REASONS: Mapping[str, str] = {
    RefundReason.duplicate: "duplicate",
    RefundReason.fraudulent: "fraudulent",
    RefundReason.requested_by_customer: "requested_by_customer",
}
STATUSES: Mapping[str, RefundStatus] = {
    "pending": RefundStatus.pending,
    "requires_action": RefundStatus.pending,
    "succeeded": RefundStatus.succeeded,
    "failed": RefundStatus.failed,
    "canceled": RefundStatus.canceled,
}
# Nothing is wrong with the refund itself: a key under way or reused, too many calls, wrong credentials.
UNKNOWN = frozenset({401, 403, 408, 409, 425, 429})


class StripeProvider:
    """``PaymentProvider`` at Stripe's REST API."""

    name = str(Provider.stripe)

    def __init__(
        self, *, api_key: str, api_url: str, timeout: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._api_key = api_key
        self._api_url = api_url
        self._timeout = timeout
        self._transport = transport

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        """``POST /v1/refunds``; of a payment intent, or of the charge where that is all there is."""
        try:
            amount = to_stripe(order.amount, order.currency)
        except ValueError:
            raise ProviderRefusedError("amount_too_fine") from None
        form = {"amount": str(amount), "metadata[refund_id]": str(order.refund_id)}
        is_intent = order.payment.startswith("pi_")
        form |= {"payment_intent": order.payment} if is_intent else {"charge": order.charge or order.payment}
        if order.reason is not None and order.reason in REASONS:
            form["reason"] = REASONS[order.reason]
        answer = await self._post("/v1/refunds", form, key=str(order.refund_id))
        external_id, status = answer.get("id"), STATUSES.get(str(answer.get("status")))
        if not isinstance(external_id, str) or status is None:
            raise ProviderUnknownError("the answer is no refund")
        failure = answer.get("failure_reason")
        return RefundReceipt(
            external_id=external_id,
            status=status,
            failure_reason=failure if isinstance(failure, str) else None,
        )

    async def submit_evidence(self, dispute: str, evidence: Mapping[str, str]) -> None:
        """``POST /v1/disputes/{id}`` with ``submit``: the bank gets it, and nothing can be added."""
        form = {f"evidence[{name}]": value for name, value in evidence.items() if value}
        await self._post(
            f"/v1/disputes/{quote(dispute, safe='')}", form | {"submit": "true"}, key=f"evidence-{dispute}"
        )

    async def _post(self, path: str, form: Mapping[str, str], *, key: str) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Idempotency-Key": key,
            "Accept-Encoding": "identity",  # so that the size of an answer is what is read of it
        }
        try:
            async with (
                asyncio.timeout(self._timeout),  # of the whole call: an answer may come in drops
                httpx.AsyncClient(
                    base_url=self._api_url, timeout=self._timeout, transport=self._transport, trust_env=False
                ) as client,
                client.stream("POST", path, data=dict(form), headers=headers) as response,
            ):
                content = await _read(response)
        except (httpx.HTTPError, TimeoutError) as error:
            raise ProviderUnknownError(type(error).__name__) from error
        answer = _decoded(content)
        if response.is_success and answer is not None:
            return answer
        raise _refusal(response.status_code, answer)


async def _read(response: httpx.Response) -> bytes:
    content = b""
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > ANSWER_MAX:
            raise ProviderUnknownError("the answer is too large")
    return content


def _decoded(content: bytes) -> dict[str, Any] | None:
    try:
        answer = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return answer if isinstance(answer, dict) else None


def _refusal(status: int, answer: dict[str, Any] | None) -> ProviderRefusedError | ProviderUnknownError:
    """A definite no has a 4xx and Stripe's error object; everything else leaves open what was done."""
    error = answer.get("error") if answer is not None else None
    if status in (401, 403):
        logger.error("the payment provider refuses our credentials (%s): check STRIPE_API_KEY", status)
    # A key that was used with another body says nothing of what the first call did.
    is_reused = isinstance(error, dict) and error.get("type") == "idempotency_error"
    if 400 <= status < 500 and status not in UNKNOWN and isinstance(error, dict) and not is_reused:
        code = error.get("code") or error.get("type") or "refused"
        return ProviderRefusedError(str(code)[:120])
    return ProviderUnknownError(f"status {status}")
