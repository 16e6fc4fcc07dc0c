"""Names and limits of the technical desk, and the table of a ticket's transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

SUBJECT_TYPE = "ticket"
DESK = "technical"
NUMBER_PREFIX = "TEC-"
ISSUE_TYPE = "known_issue"
ISSUE_PREFIX = "ISS-"
UPDATE_JOB = "technical.issue_update"

SUBJECT_MAX = 300
NAME_MAX = 120  # of a product, component, version, tag
ENVIRONMENT_MAX = 500
REASON_MAX = 500
TAGS_MAX = 30
LINKS_MAX = 200  # of one ticket
REFERENCES_MAX = 50  # of one ticket
SPLIT_MAX = 200  # messages at once
NOTE_MAX = 16_000  # characters of a resolution note's problem, and of its solution


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


class IssueStatus(StrEnum):
    """How far a known issue has been understood."""

    investigating = "investigating"
    identified = "identified"
    monitoring = "monitoring"
    resolved = "resolved"


class DeliveryState(StrEnum):
    """Whether an update has reached a ticket; `skipped` where it could not, see its reason."""

    queued = "queued"
    delivered = "delivered"
    skipped = "skipped"


class LinkKind(StrEnum):
    """What another ticket is to this one."""

    related = "related"
    parent = "parent"
    duplicate = "duplicate"
    follow_up = "follow_up"


class Relation(StrEnum):
    """What another ticket is to this one, seen from either end of a link."""

    related = "related"
    parent = "parent"
    child = "child"
    duplicate = "duplicate"  # this one duplicates the other
    duplicated_by = "duplicated_by"
    follow_up = "follow_up"  # this one follows the other up
    followed_up_by = "followed_up_by"


class Mover(StrEnum):
    """In what capacity somebody moves a ticket to another status."""

    staff = "staff"
    lead = "lead"
    requester = "requester"
    reply = "reply"  # a customer's public message, not asked for by name
    timer = "timer"
    merge = "merge"


class Assignment(StrEnum):
    """How a team's tickets get their assignee."""

    manual = "manual"
    round_robin = "round_robin"


class AssignmentStrategy(StrEnum):
    """How an assignee is looked for on demand."""

    auto = "auto"


class FieldType(StrEnum):
    """What a custom field holds."""

    text = "text"
    number = "number"
    boolean = "boolean"
    date = "date"
    select = "select"
    multiselect = "multiselect"
    url = "url"


class RequiredOn(StrEnum):
    """When a custom field must have a value."""

    none = "none"
    create = "create"
    solve = "solve"


class MacroKind(StrEnum):
    """What the text of a macro is posted as."""

    public = "public"
    note = "note"


class Visibility(StrEnum):
    """Whose a macro or a view is: its maker's, a team's, or all the staff's."""

    personal = "personal"
    team = "team"
    shared = "shared"


TEAMS_MAX = 200
MEMBERS_MAX = 200  # of one team
PRODUCTS_MAX = 50  # of one team
SKILLS_MAX = 50  # of one member
CAPACITY_MAX = 10_000
DESCRIPTION_MAX = 500  # of a team, field or macro
FIELDS_MAX = 100
OPTIONS_MAX = 200  # of one field
POSITION_MAX = 10_000
MACROS_MAX = 2_000
VIEWS_MAX = 2_000
OWN = "me"  # in the place of an assignee's id: whoever asks
NOBODY = "none"  # in a macro: takes the assignee away

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


class UnknownPeople(StrEnum):
    """What becomes of people and accounts that an import names and nobody here knows."""

    create = "create"
    skip = "skip"
    fail = "fail"


class ImportStatus(StrEnum):
    """Where an import stands."""

    queued = "queued"
    running = "running"
    done = "done"
    canceled = "canceled"
    failed = "failed"


IMPORT_JOB = "technical.import"
