"""How much goodwill to offer: what similar cases were resolved with, as far as the policy leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median_low
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import (
    COMPARABLE_CREDITS,
    SUBJECT_TYPE,
    SUGGESTION_CASES,
    SUGGESTION_FROM,
    CaseStatus,
)
from app.billing.desk import Desk
from app.billing.models import Case, CreditGrant, Invoice, Payment
from app.billing.schemas.credits import NoSuggestion, SimilarCredit, SuggestedCredit
from app.billing.schemas.money import Money
from app.billing.service import cases
from app.billing.service.credits.caps import cap_of
from app.billing.service.refunds import policies
from app.billing.utils.money import exponent_of, formatted
from app.billing.utils.numbers import CASES as NUMBERS
from app.identity.principal import Principal
from app.matching import Match

SOLVED = (CaseStatus.resolved, CaseStatus.closed)


async def suggest(
    session: AsyncSession,
    desk: Desk,
    case_id: UUID,
    *,
    principal: Principal,
    currency: str | None,
    locale: str,
) -> SuggestedCredit:
    """For the staff. ``currency``: when left out, that of what the case is about, else of the account's
    newest invoice or payment. ``CaseNotFoundError``, ``UnknownCurrencyError``."""
    case = await cases.get(session, case_id, principal=principal)
    if case.account_id is None:
        return _nothing(NoSuggestion.no_account)
    currency = currency or await _currency_of(session, case)
    if currency is None:
        return _nothing(NoSuggestion.no_currency)
    exponent = exponent_of(currency)
    policy = await policies.current(session)
    cap = await cap_of(
        session,
        policy,
        account_id=case.account_id,
        role=principal.role,
        currency=currency,
        at=datetime.now(UTC),
    )
    found = await _similar(session, desk, case, currency)
    median = median_low([each.granted for each in found]) if found else None
    amount = None if median is None else min(median, cap.left) or None
    why_none = NoSuggestion.no_similar_cases if median is None else NoSuggestion.cap_reached

    def said(units: int | None) -> Money | None:
        return None if units is None else _money(units, currency, exponent, locale)

    return SuggestedCredit(
        amount=said(amount),
        why_none=None if amount is not None else why_none,
        median=said(median),
        left=said(cap.left),
        quarter=cap.quarter,
        cases=found,
    )


async def _similar(session: AsyncSession, desk: Desk, case: Case, currency: str) -> list[SimilarCredit]:
    """The nearest solved cases that were granted credit in the currency, most alike first."""
    granted = (
        select(CreditGrant.case_id)
        .join(Case, Case.id == CreditGrant.case_id)
        .where(*_comparable(currency), Case.status.in_(SOLVED))
    )
    matches = await desk.matcher.similar(
        session,
        subject=cases.subject_of(case.id),
        types=(SUBJECT_TYPE,),
        audiences=("staff",),
        within=granted,  # type: ignore[arg-type]  # the join leaves out grants without a case
        limit=SUGGESTION_CASES,
    )
    alike = {each.id: each for each in matches if each.probability >= SUGGESTION_FROM}
    return await _shown(session, alike, currency)


async def _shown(session: AsyncSession, alike: dict[UUID, Match], currency: str) -> list[SimilarCredit]:
    statement = (
        select(Case.id, Case.number, Case.subject, func.sum(CreditGrant.amount))
        .join(CreditGrant, CreditGrant.case_id == Case.id)
        .where(Case.id.in_(list(alike)), *_comparable(currency))
        .group_by(Case.id)
    )
    rows = {row[0]: row for row in (await session.execute(statement)).all()}
    return [
        SimilarCredit(
            case_id=key,
            number=NUMBERS.shown(rows[key][1]),
            subject=rows[key][2],
            likeness=round(match.probability, 4),
            granted=int(rows[key][3]),
        )
        for key, match in alike.items()
        if key in rows
    ]


def _comparable(currency: str) -> Sequence[ColumnElement[bool]]:
    return (
        CreditGrant.kind.in_(COMPARABLE_CREDITS),
        CreditGrant.currency == currency,
        CreditGrant.voided_at.is_(None),
    )


async def _currency_of(session: AsyncSession, case: Case) -> str | None:
    asked = (
        select(Invoice.currency).where(Invoice.id == case.invoice_id),
        select(Payment.currency).where(Payment.id == case.payment_id),
        _newest(Invoice, case.account_id),
        _newest(Payment, case.account_id),
    )
    for statement in asked:
        if (found := await session.scalar(statement.limit(1))) is not None:
            return str(found)
    return None


def _newest(model: type[Invoice | Payment], account_id: UUID | None) -> Select[str]:
    statement = select(model.currency).where(model.account_id == account_id)
    return statement.order_by(model.created_at.desc(), model.id.desc())


def _money(units: int, currency: str, exponent: int, locale: str) -> Money:
    said = formatted(units, currency, exponent, locale)
    return Money(amount=units, currency=currency, exponent=exponent, formatted=said)


def _nothing(why: NoSuggestion) -> SuggestedCredit:
    return SuggestedCredit(amount=None, why_none=why, median=None, left=None, quarter=None, cases=[])
