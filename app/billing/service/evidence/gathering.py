"""Gathering what speaks for a payment: its invoice, what was done and written, the policy then in force."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import SUBJECT_TYPE, CaseSource, PaymentStatus
from app.billing.desk import Desk
from app.billing.models import Case, Dispute, Invoice, InvoiceLine, Payment, Refund
from app.billing.utils.packs import Facts, Happened, Said
from app.conversations.constants import MessageKind
from app.conversations.models import Conversation, Message
from app.events.models import Event
from app.exceptions import UnavailableError
from app.identity.constants import PrincipalKind, Role
from app.identity.principal import Principal
from app.knowledge import Asked
from app.redaction import redact

MESSAGES_MAX = 200
EVENTS_MAX = 200
PASSAGES = 3
ASKED = "refund policy: which payments are refunded, when, and under what conditions"
# A cardholder's bank is shown what every customer may read.
ANYBODY = Principal(
    kind=PrincipalKind.system, role=Role.customer, person_id=None, account_id=None, name="public"
)


async def asked_for_policy(desk: Desk) -> Asked | None:
    """The question for the policy, made ready; None while the models are not loaded. No database."""
    if desk.answers is None:
        return None
    try:
        return await desk.answers.understand(ASKED)
    except UnavailableError:
        return None


async def gather(session: AsyncSession, desk: Desk, dispute: Dispute, asked: Asked | None) -> Facts:
    """All that a pack is made of, as it is now."""
    payment = await session.get_one(Payment, dispute.payment_id)
    invoice = None if payment.invoice_id is None else await session.get(Invoice, payment.invoice_id)
    lines: Sequence[InvoiceLine] = ()
    if invoice is not None:
        found = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id)
        lines = (await session.scalars(found.order_by(InvoiceLine.position))).all()
    refunds = select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.created_at, Refund.id)
    return Facts(
        reason=dispute.reason,
        payment=payment,
        invoice=invoice,
        lines=lines,
        refunds=(await session.scalars(refunds)).all(),
        said=await _said(session, dispute, payment),
        happened=await _happened(session, payment, invoice),
        policy=await _policy(session, desk, payment, asked),
        others=await _others(session, payment),
    )


async def _said(session: AsyncSession, dispute: Dispute, payment: Payment) -> list[Said]:
    """The public messages of the cases about the payment, its invoice or the dispute, oldest first."""
    about = [Case.payment_id == payment.id, Case.dispute_id == dispute.id]
    if payment.invoice_id is not None:
        about.append(Case.invoice_id == payment.invoice_id)
    cases = select(Case.id).where(or_(*about), Case.source != CaseSource.dispute)
    statement = (
        select(Message.created_at, Message.speaker, Message.body_text)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Conversation.subject_type == SUBJECT_TYPE, Conversation.subject_id.in_(cases))
        .where(Message.kind == MessageKind.public, Message.redacted_at.is_(None))
        .order_by(Message.created_at, Message.id)
        .limit(MESSAGES_MAX)
    )
    found = await session.execute(statement)
    return [Said(at=at, speaker=speaker, text=redact(text)) for at, speaker, text in found]


async def _happened(session: AsyncSession, payment: Payment, invoice: Invoice | None) -> list[Happened]:
    """What the event log tells about the payment, its invoice and its subscription."""
    things: list[UUID] = [payment.id]
    if invoice is not None:
        things += [each for each in (invoice.id, invoice.subscription_id) if each is not None]
    statement = (
        select(Event.occurred_at, Event.type, Event.after)
        .where(Event.subject_type.in_(("payment", "invoice", "subscription")), Event.subject_id.in_(things))
        .order_by(Event.occurred_at, Event.id)
        .limit(EVENTS_MAX)
    )
    found = []
    for at, kind, after in await session.execute(statement):
        status = (after or {}).get("status")
        what = kind.replace(".", " ")
        found.append(Happened(at=at, what=what if status is None else f"{what}: {status}"))
    return found


async def _policy(
    session: AsyncSession, desk: Desk, payment: Payment, asked: Asked | None
) -> list[tuple[str, str]]:
    """Passages about refunds that every customer could read when the payment was made."""
    if desk.answers is None or asked is None:
        return []
    try:
        passages = await desk.answers.passages(
            session, asked, principal=ANYBODY, limit=PASSAGES, as_of=payment.paid_at
        )
    except UnavailableError:
        return []
    return [(" > ".join([each.title, *each.heading_path]), each.text) for each in passages]


async def _others(session: AsyncSession, payment: Payment) -> Sequence[Payment]:
    statement = (
        select(Payment)
        .where(
            Payment.account_id == payment.account_id,
            Payment.id != payment.id,
            Payment.status == PaymentStatus.succeeded,
            Payment.currency == payment.currency,
            Payment.captured == payment.captured,
        )
        .order_by(Payment.paid_at)
        .limit(20)
    )
    return (await session.scalars(statement)).all()
