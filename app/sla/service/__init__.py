"""The rules of sla on the database. No HTTP here, and nothing commits: the caller's transaction does."""

from __future__ import annotations

from app.sla.service.clocks import (
    answered,
    apply,
    cancel,
    clocks,
    pause,
    reopen,
    resume,
    satisfy,
    start_deadline,
    start_next_reply,
)
from app.sla.service.reapplying import reapply_handler
from app.sla.service.sweeping import SweepCounts, run_sweep, sweep
from app.sla.service.transferring import Transfer, transfer, undo_transfer

__all__ = [
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
