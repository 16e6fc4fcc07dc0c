"""Values as other systems write them: times, states, lists, people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parseaddr
from typing import Any

from app.technical.constants import NAME_MAX, Priority, Severity, Status

EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
SKEW = timedelta(minutes=5)  # by how much another system's clock may be ahead

STATUSES: Mapping[str, Status] = {
    **{each.value: each for each in Status if each is not Status.merged},
    "hold": Status.on_hold,
    "on-hold": Status.on_hold,
    "on hold": Status.on_hold,
    "pending reminder": Status.pending,
    "pending close": Status.pending,
    "merged": Status.closed,  # into what, only the other system knows
    "in progress": Status.open,
    "resolved": Status.solved,
}
PRIORITIES: Mapping[str, Priority] = {each.value: each for each in Priority}
SEVERITIES: Mapping[str, Severity] = {each.value: each for each in Severity}
NOTHING = frozenset({"", "-", "null", "none", "(none)"})

PLAIN_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+")
_RANKED = re.compile(r"^\d+\s+")  # Zammad's "2 normal"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class ValueRefusedError(Exception):
    """What is wrong with a value."""


def text_of(value: Any) -> str:
    """A value as text that Postgres stores; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise ValueRefusedError("Expected a text")
    if isinstance(value, bool):
        return str(value).lower()
    return _UNSTORABLE.sub("", value if isinstance(value, str) else str(value))


def line_of(value: Any, maximum: int) -> str | None:
    """A text on one line, cut at ``maximum``; None for none."""
    line = " ".join((_UNPRINTABLE.sub(" ", value) if isinstance(value, str) else text_of(value)).split())
    return _cut(line, maximum) or None


def told(value: Any) -> str | None:
    """A line, where ``-`` and the like say that there is none."""
    line = line_of(value, NAME_MAX)
    return None if line is None or line.lower() in NOTHING else line


def _cut(line: str, maximum: int) -> str:
    return line if len(line) <= maximum else line[: maximum - 1].rstrip() + "…"


def moment_of(value: Any, *, now: datetime, zone: tzinfo) -> datetime | None:
    """A time in UTC; one that names no zone is in ``zone``.

    ``ValueRefusedError`` for what is none, the future and the far past.
    """
    written = text_of(value).strip()
    if written.lower() in NOTHING:
        return None
    try:
        moment = datetime.fromisoformat(written.removesuffix(" UTC").replace("/", "-"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC if written.endswith(" UTC") else zone)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueRefusedError("Expected a time such as 2026-11-22T09:30:00Z") from None
    if moment > now + SKEW:
        raise ValueRefusedError("Lies in the future")
    if moment < EARLIEST:
        raise ValueRefusedError(f"Lies before {EARLIEST.year}")
    return min(moment, now)


def status_of(value: Any, values: Mapping[str, str]) -> Status:
    """Where the ticket stands; ``values``: further names."""
    name = told(value)
    if name is None:
        return Status.new
    found = STATUSES.get(values.get(name.lower(), name.lower()))
    if found is None:
        raise ValueRefusedError(f"Not one of {', '.join(sorted(STATUSES))}")
    return found


def priority_of(value: Any, values: Mapping[str, str]) -> Priority:
    """Zendesk's and Zammad's priorities; ``normal`` for none."""
    name = told(value)
    if name is None:
        return Priority.normal
    lower = name.lower()
    found = PRIORITIES.get(values.get(lower, _RANKED.sub("", lower)))
    if found is None:
        raise ValueRefusedError(f"Not one of {', '.join(PRIORITIES)}")
    return found


def severity_of(value: Any, values: Mapping[str, str]) -> Severity | None:
    """None for none."""
    name = told(value)
    if name is None:
        return None
    found = SEVERITIES.get(values.get(name.lower(), name.lower()))
    if found is None:
        raise ValueRefusedError(f"Not one of {', '.join(SEVERITIES)}")
    return found


def tags_of(value: Any) -> list[str]:
    """A list, or a text with commas or semicolons, or else blanks between them; lower case, each once."""
    if value is None:
        return []
    if isinstance(value, list):
        parts = [text_of(each) for each in value]
    else:
        whole = text_of(value).strip().removeprefix("[").removesuffix("]")
        parts = re.split(r"[,;]", whole) if re.search(r"[,;]", whole) else whole.split()
    lines = (line_of(each.strip().strip('"').lower(), NAME_MAX) for each in parts)
    return sorted({each for each in lines if each})


def address_of(value: str | None) -> tuple[str | None, str | None]:
    """(name, e-mail address) of ``Ada <ada@example.com>``, ``ada@example.com`` or ``Ada``."""
    if value is None or value.lower() in NOTHING:
        return None, None
    if PLAIN_ADDRESS.fullmatch(value):
        return None, value.lower()
    if "@" not in value:
        return value, None
    name, address = parseaddr(value)
    if "@" not in address or " " in address:
        return value, None
    return name.strip() or None, address.strip().lower()


def as_flag(value: Any) -> bool | None:
    """True, false, or None where nothing is said."""
    if isinstance(value, bool):
        return value
    written = text_of(value).strip().lower()
    if written in NOTHING:
        return None
    if written in {"true", "1", "yes"}:
        return True
    if written in {"false", "0", "no"}:
        return False
    raise ValueRefusedError("Expected true or false")
