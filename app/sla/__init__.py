"""SLA: business calendars, policies, clocks.

A desk says what a subject is and what happens to it, each in its own transaction::

    await sla.apply(session, subject, sla.Attributes(desk="technical", priority="urgent"), at=now)
    await sla.start_next_reply(session, subject, at=now)      # a customer wrote
    await sla.answered(session, subject, at=now, public=True, by_person=True)
    await sla.pause(session, subject, at=now)                 # pending, on hold
    await sla.resume(session, subject, at=now)
    await sla.satisfy(session, subject, {sla.ClockKind.resolution}, at=now)

``app.sla.engine`` does the arithmetic and says what business time is; ``sweep`` finds what is overdue.
"""

from app.sla.constants import (
    REAPPLY_JOB,
    SWEEP_SECONDS,
    UNANSWERED,
    ClockKind,
    ClockState,
    SlaEvent,
)
from app.sla.schemas import Attributes, ClockView
from app.sla.service import (
    SweepCounts,
    Transfer,
    answered,
    apply,
    cancel,
    clocks,
    pause,
    reapply_handler,
    reopen,
    resume,
    run_sweep,
    satisfy,
    start_deadline,
    start_next_reply,
    sweep,
    transfer,
    undo_transfer,
)

__all__ = [
    "REAPPLY_JOB",
    "SWEEP_SECONDS",
    "UNANSWERED",
    "Attributes",
    "ClockKind",
    "ClockState",
    "ClockView",
    "SlaEvent",
    "SweepCounts",
    "Transfer",
    "answered",
    "apply",
    "cancel",
    "clocks",
    "pause",
    "reapply_handler",
    "reopen",
    "resume",
    "run_sweep",
    "satisfy",
    "start_deadline",
    "start_next_reply",
    "sweep",
    "transfer",
    "undo_transfer",
]
