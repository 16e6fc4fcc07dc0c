"""Which policy a subject is under, and moving its clocks to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.sla.constants import ClockKind, SlaEvent, TargetKind
from app.sla.engine import CalendarRef, to_second
from app.sla.models import SlaCalendar, SlaClock, SlaPolicy, SlaSubject
from app.sla.schemas import Attributes, Condition, Target
from app.sla.service.rows import (
    clock_of,
    is_fixed,
    lay_down,
    notice_breach,
    tell,
    timelines_of,
)
from app.sla.utils import matches, targets_for


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What the policies say of a subject. Nothing: its clocks count, and never fall due."""

    policy_id: UUID | None = None
    calendar: CalendarRef | None = None
    targets: Mapping[TargetKind, int] = field(default_factory=dict)
    warn_steps: Sequence[int] = ()

    def target(self, kind: ClockKind) -> int | None:
        """Business seconds."""
        return self.targets.get(TargetKind(kind))


async def choose(session: AsyncSession, subject: SlaSubject) -> Choice:
    """The first enabled policy, by position, whose conditions hold; remembered on the subject."""
    attributes = msgspec.convert(subject.attributes, Attributes)
    statement = (
        select(SlaPolicy, SlaCalendar.rules_version)
        .join(SlaCalendar, SlaCalendar.id == SlaPolicy.calendar_id)
        .where(SlaPolicy.enabled)
        .order_by(SlaPolicy.position, SlaPolicy.id)
    )
    found = await session.execute(statement, execution_options={"populate_existing": True})
    for policy, rules_version in found:
        if matches(msgspec.convert(policy.conditions, list[Condition]), attributes):
            subject.policy_id = policy.id
            return Choice(
                policy_id=policy.id,
                calendar=CalendarRef(policy.calendar_id, rules_version),
                targets=targets_for(msgspec.convert(policy.targets, list[Target]), attributes.priority),
                warn_steps=sorted(policy.warn_at_percent),
            )
    subject.policy_id = None
    return Choice()


async def follow(
    session: AsyncSession, rows: Sequence[SlaClock], choice: Choice, *, at: datetime, actor: Principal
) -> list[SlaClock]:
    """Give unfinished clocks the choice's targets, keeping what they consumed; returns those that changed.

    A deadline that had passed unseen is a breach of the old target. One that lies in the past under the new
    target is a breach at once.
    """
    counting = [row for row in rows if not is_fixed(row)]
    timelines = await timelines_of(session, counting, choice.calendar)
    changed = []
    for row in counting:
        await notice_breach(session, row, at, actor=actor)
        before = {"target_seconds": row.target_seconds, "due_at": row.due_at}
        old = clock_of(row)
        new = old.switch(choice.calendar, to_second(at)).retarget(choice.target(ClockKind(row.kind)))
        same = new == old and list(row.warn_steps) == list(choice.warn_steps)
        if same and row.policy_id == choice.policy_id:
            continue
        row.policy_id, row.warn_steps = choice.policy_id, list(choice.warn_steps)
        lay_down(row, new, timelines)
        await tell(
            session,
            SlaEvent.retargeted,
            row,
            actor=actor,
            before=before,
            further={"target_seconds": row.target_seconds, "policy_id": row.policy_id},
        )
        await notice_breach(session, row, at, actor=actor)
        changed.append(row)
    return changed
