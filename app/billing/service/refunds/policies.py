"""Versions of the refund policy: who may approve how much, and give how much credit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Integer, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import POLICY_SUBJECT
from app.billing.exceptions import RefundPolicyNotFoundError
from app.billing.models import RefundPolicy
from app.billing.utils.money import exponent_of
from app.events import Subject
from app.exceptions import InvalidError
from app.identity.constants import Role
from app.identity.principal import Principal
from app.pagination import Position, beyond, decode_cursor, encode_cursor

T = TypeVar("T")
LOCK = text("select pg_advisory_xact_lock(hashtextextended('refund policy', 0))")


async def create(
    session: AsyncSession,
    *,
    actor: Principal,
    name: str,
    limits: Sequence[Mapping[str, Any]],
    goodwill: Sequence[Mapping[str, Any]],
    approval_hours: int,
) -> RefundPolicy:
    """A new version, in force from the commit on. Several at once get consecutive versions.

    ``InvalidError`` for limits that contradict each other, ``UnknownCurrencyError``.
    """
    _check_limits(limits)
    _check_goodwill(goodwill)
    await session.execute(LOCK)
    newest = int(await session.scalar(select(func.max(RefundPolicy.version))) or 0)
    values = {
        "version": newest + 1,
        "name": name,
        "limits": [dict(each) for each in limits],
        "goodwill": [dict(each) for each in goodwill],
        "approval_hours": approval_hours,
        "created_by_id": actor.person_id,
    }
    policy = (await session.scalars(insert(RefundPolicy).values(values).returning(RefundPolicy))).one()
    await events.record(
        session,
        "refund_policy.created",
        subject=Subject("refund_policy", POLICY_SUBJECT),
        actor=actor,
        before={"version": newest},
        after={name: values[name] for name in ("version", "limits", "goodwill", "approval_hours")},
        audit=True,
    )
    return policy


async def current(session: AsyncSession) -> RefundPolicy:
    """The version in force: the newest."""
    statement = select(RefundPolicy).order_by(RefundPolicy.version.desc()).limit(1)
    return (await session.scalars(statement)).one()


async def get(session: AsyncSession, version: int) -> RefundPolicy:
    """One version; ``RefundPolicyNotFoundError``."""
    found = await session.get(RefundPolicy, version) if 0 < version < 2**31 else None
    if found is None:
        raise RefundPolicyNotFoundError("There is no such version of the refund policy.")
    return found


async def listed(
    session: AsyncSession, *, limit: int, cursor: str | None
) -> tuple[Sequence[RefundPolicy], str | None]:
    """(a page of versions, newest first, cursor of the next one)."""
    key = RefundPolicy.version
    statement = select(RefundPolicy).order_by(key.desc()).limit(limit + 1)
    if cursor is not None:
        position = decode_cursor(cursor, key=Integer(), identity=Integer())
        statement = statement.where(beyond(key, key, position, descending=True))
    rows = (await session.scalars(statement)).all()
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1].version
    return rows[:limit], encode_cursor(Position(last, last))


def limit_of(policy: RefundPolicy, role: Role | str, currency: str) -> dict[str, Any] | None:
    """The limit of a role in a currency, else in any; None: the role approves nothing."""
    of_role = [each for each in policy.limits if each["role"] == role]
    exact = [each for each in of_role if each["currency"] == currency]
    return next(iter(exact or [each for each in of_role if each["currency"] is None]), None)


def _check_limits(limits: Sequence[Mapping[str, Any]]) -> None:
    _refuse_duplicates("limits", ((each["role"], each["currency"]) for each in limits))
    for place, each in enumerate(limits):
        if each["role"] == Role.customer:
            _refuse(f"limits[{place}].role", "Customers approve nothing")
        if each["currency"] is not None:
            exponent_of(each["currency"])
        per_request, per_day = each["per_request"], each["per_day"]
        if per_day is not None and (per_request is None or per_request > per_day):
            _refuse(f"limits[{place}].per_request", "More than a day's limit")


def _check_goodwill(goodwill: Sequence[Mapping[str, Any]]) -> None:
    _refuse_duplicates("goodwill", (each["currency"] for each in goodwill))
    for place, each in enumerate(goodwill):
        exponent_of(each["currency"])
        for role, amount in each["per_grant"].items():
            if role == Role.customer:
                _refuse(f"goodwill[{place}].per_grant", "Customers grant nothing")
            if each["per_quarter"] is not None and amount > each["per_quarter"]:
                _refuse(f"goodwill[{place}].per_grant", "More than a quarter's limit")


def _refuse_duplicates(field: str, keys: Iterable[T]) -> None:
    seen: set[T] = set()
    for place, key in enumerate(keys):
        if key in seen:
            _refuse(f"{field}[{place}]", "Given twice")
        seen.add(key)


def _refuse(field: str, message: str) -> NoReturn:
    raise InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}])
