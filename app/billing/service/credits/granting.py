"""Granting and voiding credit."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import CreditKind
from app.billing.exceptions import (
    BillingAccountNotFoundError,
    CreditCapError,
    CreditGrantNotFoundError,
    NotVoidableError,
)
from app.billing.models import CreditGrant
from app.billing.service import cases, ledger
from app.billing.service.access import sees_money_of
from app.billing.service.credits.caps import cap_of
from app.billing.service.refunds import policies
from app.billing.utils.money import exponent_of
from app.events import Subject
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.models import Account
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

FRESH = {"populate_existing": True}
GRANT_TYPE = "credit_grant"
STAFF_FIELDS = ("issue_id", "policy_version")
TOLD = ("kind", "amount", "currency", "exponent", "case_id", "issue_id", "policy_version")


async def grant(
    session: AsyncSession,
    *,
    actor: Principal,
    account_id: UUID,
    kind: CreditKind,
    amount: int,
    currency: str,
    reason: str,
    case_id: UUID | None = None,
    issue_id: UUID | None = None,
) -> CreditGrant:
    """Give an account credit. Goodwill is a favour and capped; everything else is owed, and a lead's to say.

    The account's row is locked before anything is summed, so that grants at once do not exceed the cap
    together. ``CreditCapError``, ``PermissionDeniedError``, ``BillingAccountNotFoundError``,
    ``UnknownReferenceError`` for the case, ``UnknownCurrencyError``.
    """
    exponent = exponent_of(currency)
    if kind != CreditKind.goodwill and actor.role < Role.lead:
        raise PermissionDeniedError(f"Only leads grant credit of the kind {kind}.", fields=["kind"])
    await _lock_account(session, account_id)
    if case_id is not None:
        await cases.check(session, case_id, account_id=account_id, principal=actor)
    now = (
        await session.execute(select(func.clock_timestamp()))
    ).scalar_one()  # after the lock was waited for
    policy_version = None
    if kind == CreditKind.goodwill:
        policy_version = await _check_cap(session, account_id, actor.role, amount, currency=currency, at=now)
    values = {
        "account_id": account_id,
        "case_id": case_id,
        "issue_id": issue_id,
        "kind": str(kind),
        "amount": amount,
        "currency": currency,
        "exponent": exponent,
        "reason": redact(reason),
        "policy_version": policy_version,
        "granted_by_id": actor.person_id,
        "granted_at": now,
    }
    row = (await session.scalars(insert(CreditGrant).values(values).returning(CreditGrant))).one()
    await ledger.bring_up(session, row)
    await _record(session, "credit_grant.created", row, actor=actor, names=TOLD)
    return row


async def get(
    session: AsyncSession, account_id: UUID, grant_id: UUID, *, principal: Principal
) -> CreditGrant:
    """The credit of that account; ``CreditGrantNotFoundError`` also when the caller may not see it."""
    statement = select(CreditGrant).where(CreditGrant.id == grant_id, CreditGrant.account_id == account_id)
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None or not sees_money_of(principal, account_id):
        raise CreditGrantNotFoundError("There is no such credit.")
    return found


async def void(
    session: AsyncSession,
    account_id: UUID,
    grant_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
) -> CreditGrant:
    """Take a credit back; who granted it or a lead. It does not count in its quarter any more.

    ``CreditGrantNotFoundError``, ``NotVoidableError``, ``PermissionDeniedError``, ``VersionMismatchError``.
    """
    await get(session, account_id, grant_id, principal=actor)
    await _lock_account(session, account_id)
    row = await get(session, account_id, grant_id, principal=actor)
    expected.check(row.version)
    if row.voided_at is not None:
        raise NotVoidableError("The credit is void already.", reason="void")
    if actor.role < Role.lead and (actor.person_id is None or row.granted_by_id != actor.person_id):
        raise PermissionDeniedError("Only leads void what somebody else granted.")
    changed = (
        update(CreditGrant)
        .where(CreditGrant.id == grant_id)
        .values(voided_at=func.clock_timestamp(), version=CreditGrant.version + 1, updated_at=func.now())
        .returning(CreditGrant)
    )
    row = (await session.scalars(changed, execution_options=FRESH)).one()
    await ledger.bring_up(session, row)
    await _record(session, "credit_grant.voided", row, actor=actor, names=("voided_at",))
    return row


async def check_account(session: AsyncSession, account_id: UUID, *, principal: Principal) -> None:
    """``BillingAccountNotFoundError`` unless there is the account and the caller may see what it pays."""
    if not sees_money_of(principal, account_id) or await session.get(Account, account_id) is None:
        raise BillingAccountNotFoundError("There is no such account.")


async def _lock_account(session: AsyncSession, account_id: UUID) -> None:
    statement = select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)
    if await session.scalar(statement) is None:
        raise BillingAccountNotFoundError("There is no such account.")


async def _check_cap(
    session: AsyncSession, account_id: UUID, role: Role, amount: int, *, currency: str, at: datetime
) -> int:
    policy = await policies.current(session)
    cap = await cap_of(session, policy, account_id=account_id, role=role, currency=currency, at=at)
    if amount > cap.left:
        raise CreditCapError(
            f"Of goodwill, {cap.left} {currency} minor units can be granted now.",
            left=cap.left,
            per_grant=cap.per_grant or 0,
            per_quarter=cap.per_quarter,
            granted=cap.granted,
            quarter=cap.quarter,
            currency=currency,
            exponent=exponent_of(currency),
        )
    return policy.version


async def _record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    row: CreditGrant,
    *,
    actor: Principal,
    names: tuple[str, ...],
) -> None:
    await events.record(
        session,
        type,
        subject=Subject(GRANT_TYPE, row.id),
        actor=actor,
        before={"voided_at": None} if "voided_at" in names else None,
        after={name: getattr(row, name) for name in names} | {"version": row.version},
        account_id=row.account_id,
        customer_visible=True,
        staff_fields=STAFF_FIELDS,
    )
