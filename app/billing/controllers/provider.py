"""Payment providers: the route that Stripe posts to, and the sandbox's controls."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import DisputeStatus, Provider
from app.billing.desk import Desk
from app.billing.exceptions import (
    ContradictionError,
    DisputeNotFoundError,
    InvalidEventError,
    PaymentNotFoundError,
    ProviderEventsOffError,
    ProviderSignatureError,
    ProviderUnavailableError,
    UnknownCurrencyError,
)
from app.billing.models import Dispute
from app.billing.schemas.provider import (
    ProviderEventReceipt,
    SandboxDecision,
    SandboxDispute,
    SandboxDisputeCreate,
    SandboxFaultCreate,
    SandboxFaults,
    SandboxFaultView,
)
from app.billing.service.provider import sandbox
from app.billing.service.provider.receiving import receive
from app.billing.service.provider.stripe import read
from app.billing.utils import signatures
from app.config import Settings
from app.identity import PUBLIC
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented


@post(
    "/provider/stripe/events",
    operation_id="receive_stripe_event",
    status_code=200,
    tags=["billing"],
    summary="Take in an event of Stripe's",
    opt={PUBLIC: True}
    | documented(
        raises=[
            ProviderEventsOffError,
            ProviderSignatureError,
            InvalidEventError,
            ContradictionError,
            UnknownCurrencyError,
        ],
        bodies={"application/json": dict[str, Any]},
    ),
)
async def receive_stripe_event(
    request: Request[Any, Any, Any], state: State, session: NamedDependency[AsyncSession]
) -> ProviderEventReceipt:
    """Take in an event, signed as [Stripe](https://docs.stripe.com/webhooks) signs.

    For Stripe alone: there is no API key, the header `Stripe-Signature` proves the sender. An event is
    applied once, however often it comes, and in whatever order: an answer of 200 means that it is stored.
    """
    settings: Settings = state.settings
    if not settings.stripe_webhook_secret:
        raise ProviderEventsOffError("This server takes no events: STRIPE_WEBHOOK_SECRET is not set.")
    header = request.headers.get("stripe-signature", "")
    signatures.parse(header)  # before the body is read
    body = await request.body()
    signatures.verify(settings.stripe_webhook_secret, header, body, now=time.time())
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidEventError(
            "The event is no JSON.", errors=[{"field": "body", "message": "No JSON"}]
        ) from None
    event = read(content)
    return ProviderEventReceipt(id=event.id, outcome=await receive(session, event))


class SandboxController(Controller):
    """The sandbox provider's controls, while it is the provider."""

    path = "/provider/sandbox"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.admin)]  # noqa: RUF012 - likewise

    @post(
        "/faults",
        operation_id="create_sandbox_fault",
        opt=documented(raises=[ProviderUnavailableError]),
    )
    async def create_sandbox_fault(
        self,
        data: JSONBody[SandboxFaultCreate],
        session: NamedDependency[AsyncSession],
        billing: NamedDependency[Desk],
    ) -> SandboxFaultView:
        """Let the next calls to the sandbox fail, to see what the desk makes of it."""
        _check(billing)
        fault = await sandbox.plan(session, data.kind, data.count)
        return SandboxFaultView(id=fault.id, kind=data.kind, remaining=fault.remaining)

    @get("/faults", operation_id="list_sandbox_faults", opt=documented(raises=[ProviderUnavailableError]))
    async def list_sandbox_faults(
        self, session: NamedDependency[AsyncSession], billing: NamedDependency[Desk]
    ) -> SandboxFaults:
        """The faults to come, next first."""
        _check(billing)
        found = await sandbox.planned(session)
        return SandboxFaults(
            items=[msgspec.convert(each, SandboxFaultView, from_attributes=True) for each in found]
        )

    @delete("/faults", operation_id="clear_sandbox_faults", opt=documented(raises=[ProviderUnavailableError]))
    async def clear_sandbox_faults(
        self, session: NamedDependency[AsyncSession], billing: NamedDependency[Desk]
    ) -> None:
        """Let nothing fail any more."""
        _check(billing)
        await sandbox.clear(session)

    @post(
        "/disputes",
        operation_id="create_sandbox_dispute",
        opt=documented(raises=[PaymentNotFoundError, ProviderUnavailableError]),
    )
    async def create_sandbox_dispute(
        self,
        data: JSONBody[SandboxDisputeCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> SandboxDispute:
        """Let a cardholder of the sandbox dispute a payment."""
        _check(billing)
        dispute = await sandbox.open_dispute(
            session,
            data.payment_id,
            amount=data.amount,
            reason=data.reason,
            evidence_due_at=data.evidence_due_at,
            actor=principal,
        )
        return _shown(dispute)

    @post(
        "/disputes/{dispute_id:uuid}/decide",
        operation_id="decide_sandbox_dispute",
        status_code=200,
        opt=documented(raises=[DisputeNotFoundError, ProviderUnavailableError]),
    )
    async def decide_sandbox_dispute(
        self,
        *,
        dispute_id: FromPath[UUID],
        data: JSONBody[SandboxDecision],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> SandboxDispute:
        """Let the sandbox's bank decide a dispute."""
        _check(billing)
        status = DisputeStatus(data.decision)
        dispute = await sandbox.decide_dispute(session, dispute_id, status, actor=principal)
        return _shown(dispute)


def _check(desk: Desk) -> None:
    if desk.provider is None or desk.provider.name != Provider.sandbox:
        raise ProviderUnavailableError("The sandbox is not this server's payment provider.")


def _shown(dispute: Dispute) -> SandboxDispute:
    return msgspec.convert(dispute, SandboxDispute, from_attributes=True)
