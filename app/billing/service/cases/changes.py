"""Reading, locking and changing one case: each change is one version and one event.

The state of a case is ``STATE``; folding the ``after`` of its events in order gives exactly that state. Texts
stay out of events: of the description they have the hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import SUBJECT_TYPE, CaseStatus
from app.billing.exceptions import CaseClosedError, CaseNotFoundError
from app.billing.models import Case
from app.billing.service.access import cases_of
from app.events import Subject
from app.identity.principal import SYSTEM, Principal

FRESH = {"populate_existing": True}
EXCLUSIVE = {"key_share": True}  # nobody changes a case's id: what refers to a locked one need not wait

STATE = (
    *("number", "kind", "status", "priority", "subject", "description", "tags", "source"),
    *("requester_id", "account_id", "assignee_id", "subscription_id", "invoice_id", "payment_id"),
    *("dispute_id", "issue_id", "follows_id", "resolved_by_id", "reopens", "status_changed_at"),
    *("first_resolved_at", "resolved_at", "closed_at", "version"),
)
# What customers do not see of a case, and of its events.
STAFF_FIELDS = frozenset(
    {"tags", "assignee_id", "issue_id", "resolved_by_id", "reason", "subject_type", "subject_id"}
)


def subject_of(case_id: UUID) -> Subject:
    """What rooms and events know a case as."""
    return Subject(SUBJECT_TYPE, case_id)


async def get(session: AsyncSession, case_id: UUID, *, principal: Principal) -> Case:
    """The case; ``CaseNotFoundError`` also when the caller may not see it."""
    statement = select(Case).where(Case.id == case_id, cases_of(principal))
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise CaseNotFoundError("There is no such case.")
    return found


async def lock(session: AsyncSession, case_id: UUID, *, principal: Principal = SYSTEM) -> Case:
    """The case as it is now, kept from changing until the transaction ends; errors as ``get``."""
    statement = select(Case).where(Case.id == case_id, cases_of(principal))
    found = await session.scalar(statement.with_for_update(of=Case, **EXCLUSIVE), execution_options=FRESH)
    if found is None:
        raise CaseNotFoundError("There is no such case.")
    return found


async def lock_open(session: AsyncSession, case_id: UUID, *, principal: Principal) -> Case:
    """``lock``, of a case that still changes; ``CaseClosedError``."""
    case = await lock(session, case_id, principal=principal)
    check_open(case)
    return case


def check_open(case: Case) -> None:
    """``CaseClosedError``."""
    if case.status == CaseStatus.closed:
        raise CaseClosedError("This case is closed; a public reply opens a follow-up.")


async def change(
    session: AsyncSession,
    case: Case,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    type: str = "billing_case.updated",  # noqa: A002 - the event's type, as the API calls it
    told: Mapping[str, Any] | None = None,
) -> Case:
    """Change a locked case; what is the same already is left out, and nothing left changes nothing.

    ``told``: further members of the event that are no state of the case, such as a reason.
    """
    changed = {name: value for name, value in values.items() if getattr(case, name) != value}
    if not changed:
        return case
    before = {name: getattr(case, name) for name in changed}
    statement = (
        update(Case)
        .where(Case.id == case.id)
        .values(version=Case.version + 1, updated_at=func.now(), **changed)
        .returning(Case)
    )
    case = (await session.scalars(statement, execution_options=FRESH)).one()
    after = {name: getattr(case, name) for name in changed} | {"version": case.version}
    await record(session, type, case, actor=actor, before=before, after=after | dict(told or {}))
    return case


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    case: Case,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """An event about a case. Customers see it when it tells something that they may know."""
    named = (set(before or ()) | set(after or ())) - {"version"}
    hidden = named & STAFF_FIELDS
    await events.record(
        session,
        type,
        subject=subject_of(case.id),
        actor=actor,
        before=_hashed(before),
        after=_hashed(after),
        account_id=case.account_id,
        person_id=case.requester_id,
        customer_visible=bool(named - hidden),
        staff_fields=hidden,
    )


def state_of(case: Case) -> dict[str, Any]:
    """The whole state, as the first event of a case tells it."""
    return {name: getattr(case, name) for name in STATE}


def text_hash(description: str) -> str:
    """What events tell of a description: SHA-256, hexadecimal."""
    return hashlib.sha256(description.encode()).hexdigest()


def _hashed(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if fields is None:
        return None
    return {name: text_hash(value) if name == "description" else value for name, value in fields.items()}
