"""Names and limits of the technical desk, and the table of a ticket's transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

SUBJECT_TYPE = "ticket"
DESK = "technical"
NUMBER_PREFIX = "TEC-"

SUBJECT_MAX = 300
NAME_MAX = 120  # of a product, component, version, tag
ENVIRONMENT_MAX = 500
REASON_MAX = 500
TAGS_MAX = 30
FILTERS_MAX = 50
NUMBER_MAX = 2**31 - 1


class Status(StrEnum):
    """Where a ticket stands."""

    new = "new"
    open = "open"
    pending = "pending"
    on_hold = "on_hold"
    solved = "solved"
    closed = "closed"
    merged = "merged"


class Priority(StrEnum):
    """How soon it is to be worked on, as the staff decide."""

    low = "low"
    normal = "normal"
    high = "high"
    urgent = "urgent"


class Severity(StrEnum):
    """How much it hurts the customer."""

    critical = "critical"
    major = "major"
    minor = "minor"
    trivial = "trivial"


class Source(StrEnum):
    """How a ticket came."""

    api = "api"
    email = "email"
    imported = "import"
    follow_up = "follow_up"
    split_off = "split"


class LinkKind(StrEnum):
    """What another ticket is to this one."""

    related = "related"
    parent = "parent"
    duplicate = "duplicate"
    follow_up = "follow_up"


class Mover(StrEnum):
    """In what capacity somebody moves a ticket to another status."""

    staff = "staff"
    lead = "lead"
    requester = "requester"
    reply = "reply"  # a customer's public message, not asked for by name
    timer = "timer"
    merge = "merge"


WORKING = (Status.open, Status.pending, Status.on_hold)
PAUSED = frozenset({Status.pending, Status.on_hold})
UNFINISHED = frozenset({Status.new, *WORKING})
FINAL = frozenset({Status.closed, Status.merged})

_STAFF = frozenset({Mover.staff, Mover.lead})
_STAFF_OR_REPLY = _STAFF | {Mover.reply}

# PRODUCT rule 1, whole: (from, to) → who. What is not in it is illegal; undoing a merge restores what was.
TRANSITIONS: Mapping[tuple[Status, Status], frozenset[Mover]] = MappingProxyType(
    {(Status.new, to): _STAFF for to in (*WORKING, Status.solved)}
    | {(one, other): _STAFF for one in WORKING for other in WORKING if one is not other}
    | {(paused, Status.open): _STAFF_OR_REPLY for paused in PAUSED}
    | {(each, Status.solved): _STAFF | {Mover.requester} for each in WORKING}
    | {
        (Status.solved, Status.open): _STAFF_OR_REPLY,
        (Status.solved, Status.closed): frozenset({Mover.timer, Mover.lead}),
    }
    | {(each, Status.merged): frozenset({Mover.merge}) for each in (*UNFINISHED, Status.solved)}
)
