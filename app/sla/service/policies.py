"""Policies: made, changed, deleted; and what follows for the clocks under them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.principal import Principal
from app.identity.utils import clean_name
from app.listing import Listed, Listing
from app.sla.constants import POLICIES_MAX, POSITION_MAX
from app.sla.exceptions import PolicyExistsError, PolicyNotFoundError, TooManyError, UnknownCalendarError
from app.sla.models import SlaCalendar, SlaPolicy
from app.sla.schemas import Condition, Target
from app.sla.service.calendars import calendar_of
from app.sla.service.reapplying import reapply_all
from app.sla.service.rows import claim_rules
from app.sla.utils import check_policy, check_reachable, stored

POLICIES = Listing(
    SlaPolicy,
    sorts={"position": SlaPolicy.position, "created_at": SlaPolicy.created_at, "name": SlaPolicy.name},
    default="position",
)
STEP = 10  # between positions that are given out, so that there is room between two
Check = Callable[[int], None]  # raises unless the version is the one that the caller has seen


async def create(
    session: AsyncSession,
    *,
    name: str,
    calendar_id: UUID,
    targets: Sequence[Target],
    conditions: Sequence[Condition] = (),
    warn_at_percent: Sequence[int] = (),
    position: int | None = None,
    enabled: bool = True,
    actor: Principal,
) -> SlaPolicy:
    """A new policy; running clocks that it fits come under it at once.

    ``InvalidPolicyError``, ``PolicyExistsError``, ``UnknownCalendarError``, ``UnreachableTargetError``,
    ``TooManyError``.
    """
    await claim_rules(session)
    if (await session.scalar(select(func.count()).select_from(SlaPolicy)) or 0) >= POLICIES_MAX:
        raise TooManyError(f"There may be {POLICIES_MAX} policies.", limit=POLICIES_MAX)
    row = SlaPolicy(
        name=await _free_name(session, name),
        position=await _last_position(session) if position is None else position,
        conditions=stored(conditions),
        targets=stored(targets),
        warn_at_percent=sorted(warn_at_percent),
        calendar_id=calendar_id,
        enabled=enabled,
    )
    await _check(session, row)
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await _record(session, "created", row, actor=actor, after=_told(row))
    if enabled:
        await reapply_all(session, at=datetime.now(UTC), actor=actor)
    return row


async def get(session: AsyncSession, policy_id: UUID) -> SlaPolicy:
    """The policy; ``PolicyNotFoundError``."""
    row = await session.get(SlaPolicy, policy_id)
    if row is None:
        raise PolicyNotFoundError("There is no such policy.")
    return row


async def list_page(
    session: AsyncSession, *, limit: int, sort: str | None, cursor: str | None, total: bool
) -> Listed[SlaPolicy]:
    """One page, by position unless sorted otherwise."""
    return await POLICIES.fetch(
        session, select(SlaPolicy), limit=limit, sort=sort, cursor=cursor, total=total
    )


async def change(
    session: AsyncSession,
    policy_id: UUID,
    *,
    actor: Principal,
    check: Check,
    name: str | UnsetType = UNSET,
    **given: Any,
) -> SlaPolicy:
    """Change what is given and not UNSET; the same errors as ``create``, and what ``check`` raises.

    Running clocks, of whatever policy, keep what they consumed and follow the one that fits them now.
    """
    row = await _lock(session, policy_id, check)
    before = _told(row)
    for key, value in given.items():
        if value is not UNSET:
            setattr(row, key, sorted(value) if key == "warn_at_percent" else _column(key, value))
    if name is not UNSET and clean_name(name) != row.name:
        row.name = await _free_name(session, name)
    after = _told(row)
    keys = [key for key in after if after[key] != before[key]]
    if not keys:
        return row
    await _check(session, row)
    row.version += 1
    await session.flush()
    await session.refresh(row)
    told = {"before": {key: before[key] for key in keys}, "after": {key: after[key] for key in keys}}
    await _record(session, "updated", row, actor=actor, **told)
    if keys != ["name"]:
        await reapply_all(session, at=datetime.now(UTC), actor=actor)
    return row


async def remove(session: AsyncSession, policy_id: UUID, *, actor: Principal, check: Check) -> None:
    """Delete it; clocks under it follow the next that fits, or count without a target."""
    row = await _lock(session, policy_id, check)
    await _record(session, "deleted", row, actor=actor, before={"name": row.name})
    await session.delete(row)
    await session.flush()
    await reapply_all(session, at=datetime.now(UTC), actor=actor)


def _column(key: str, value: Any) -> Any:
    """Only conditions and targets are JSON."""
    return stored(value) if key in {"conditions", "targets"} else value


async def _lock(session: AsyncSession, policy_id: UUID, check: Check) -> SlaPolicy:
    await claim_rules(session)
    row = await session.get(SlaPolicy, policy_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise PolicyNotFoundError("There is no such policy.")
    check(row.version)
    return row


async def _check(session: AsyncSession, row: SlaPolicy) -> None:
    targets = msgspec.convert(row.targets, list[Target])
    check_policy(
        conditions=msgspec.convert(row.conditions, list[Condition]),
        targets=targets,
        warn_at_percent=row.warn_at_percent,
    )
    with session.no_autoflush:
        calendar = await session.get(SlaCalendar, row.calendar_id)
    if calendar is None:
        raise UnknownCalendarError("There is no such calendar.", calendar_id=row.calendar_id)
    check_reachable(calendar_of(calendar), targets, now=datetime.now(UTC))


async def _free_name(session: AsyncSession, name: str) -> str:
    cleaned = clean_name(name)
    with session.no_autoflush:
        taken = await session.scalar(select(SlaPolicy.id).where(SlaPolicy.name == cleaned))
    if taken is not None:
        raise PolicyExistsError("Another policy has this name.", id=taken)
    return cleaned


async def _last_position(session: AsyncSession) -> int:
    last = await session.scalar(select(func.max(SlaPolicy.position)))
    return STEP if last is None else min(last + STEP, POSITION_MAX)


def _told(row: SlaPolicy) -> dict[str, Any]:
    return {
        "name": row.name,
        "position": row.position,
        "conditions": row.conditions,
        "targets": row.targets,
        "warn_at_percent": list(row.warn_at_percent),
        "calendar_id": row.calendar_id,
        "enabled": row.enabled,
    }


async def _record(session: AsyncSession, what: str, row: SlaPolicy, **told: Any) -> None:
    subject = Subject("sla_policy", row.id)
    await events.record(session, f"sla_policy.{what}", subject=subject, audit=True, **told)
