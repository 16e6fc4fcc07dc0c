"""What happened: one append-only row a state change, in the transaction that makes the change."""

from app.events.announcing import announce
from app.events.epoch import advance_epoch
from app.events.recording import Subject, forget, record

__all__ = ["Subject", "advance_epoch", "announce", "forget", "record"]
