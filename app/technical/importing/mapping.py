"""From the fields of a record to a ticket on its way in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from app.conversations.constants import BODY_MAX_BYTES, HTML_MAX_BYTES, BodyFormat
from app.technical.constants import ENVIRONMENT_MAX, NAME_MAX, SUBJECT_MAX, TAGS_MAX
from app.technical.importing import values as read
from app.technical.importing.incoming import (
    AccountRef,
    FieldProblem,
    IncomingMessage,
    IncomingTicket,
    PersonRef,
    RowRefusedError,
)
from app.technical.importing.messages import first_message, messages_of, person_of
from app.technical.importing.names import CUSTOM, KNOWN, NEEDLESS, RANK, Field, plain
from app.technical.importing.values import ValueRefusedError

EXTERNAL_ID_MAX = 200
NO_SUBJECT = "(no subject)"
Parse = Callable[[Any, Mapping[str, str]], Any]
STATES: Mapping[str, Parse] = {
    Field.status: read.status_of,
    Field.priority: read.priority_of,
    Field.severity: read.severity_of,
}
NAMES = (Field.product, Field.component, Field.product_version)


@dataclass(slots=True)
class Reading:
    """How the records of one file are read. ``columns``: their column → our field, or nothing for none.

    ``values``: our field → their value in lower case → ours. ``zone``: of times that name none. ``unknown``
    collects the columns that say nothing to us.
    """

    columns: Mapping[str, str | None] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    zone: tzinfo = UTC
    unknown: dict[str, None] = field(default_factory=dict)
    _targets: dict[str, str | None] = field(default_factory=dict)
    _ranks: dict[str, int] = field(default_factory=dict)

    def target(self, column: str) -> str | None:
        """Our field for a column; None: it is left out."""
        if column not in self._targets:
            self._targets[column] = self._find(column)
        return self._targets[column]

    def rank(self, column: str) -> int:
        """Where it stands among the columns of one field; what a mapping names comes first."""
        if column not in self._ranks:
            mapped = column in self.columns
            self._ranks[column] = -1 if mapped else RANK.get(plain(column), len(RANK))
        return self._ranks[column]

    def _find(self, column: str) -> str | None:
        if column in self.columns:
            return self.columns[column]
        name = plain(column)
        if name in KNOWN:
            return KNOWN[name]
        if column.strip().lower().startswith(CUSTOM):
            return column.strip().lower()
        if name not in NEEDLESS and len(self.unknown) < 200:
            self.unknown[column[:NAME_MAX]] = None
        return None


def to_ticket(fields: Mapping[str, Any], reading: Reading, *, line: int, now: datetime) -> IncomingTicket:
    """The ticket that a record tells of; ``RowRefusedError`` with all that is wrong."""
    try:
        return _Row(_assembled(fields, reading), reading, line, now).ticket()
    except ValueRefusedError as problem:
        raise RowRefusedError(FieldProblem(Field.custom, str(problem))) from None


def _assembled(fields: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """Our field → value. Of several columns of one field the first in ``KNOWN`` that says something."""
    found: dict[str, Any] = {}
    for column in sorted(fields, key=reading.rank):
        target, value = reading.target(column), fields[column]
        if target is None:
            continue
        if target == Field.custom and found.get(target):
            value = _customs(found[target], reading) | _customs(value, reading)
        if target not in found or found[target] in (None, ""):
            found[target] = value
    return found


def _customs(value: Any, reading: Reading) -> dict[str, Any]:
    """Values of custom fields: an object, or a list of ``{id, value}``, whose ids a mapping can name."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value) if value.strip() else {}
        except msgspec.DecodeError:
            raise ValueRefusedError("Expected a JSON object") from None
    if isinstance(value, list):
        pairs = [(str(each.get("id")), each.get("value")) for each in value if isinstance(each, dict)]
    else:
        pairs = list(value.items()) if isinstance(value, dict) else []
    found = {}
    for key, each in pairs:
        target = reading.columns.get(f"custom_fields.{key}", key)
        if target is not None and each not in (None, "", []):
            found[target.removeprefix(CUSTOM)] = each
    return found


@dataclass(slots=True)
class _Row:
    """One record while it is read."""

    found: dict[str, Any]
    reading: Reading
    line: int
    now: datetime
    problems: list[FieldProblem] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def ticket(self) -> IncomingTicket:
        external_id = self._read(Field.external_id, lambda value: read.line_of(value, EXTERNAL_ID_MAX + 1))
        if external_id is None:
            self._refuse(Field.external_id, "Required: the ticket's id in the other system")
        elif len(external_id) > EXTERNAL_ID_MAX:
            self._refuse(Field.external_id, f"Has more than {EXTERNAL_ID_MAX} characters")
        values = self._columns()
        times = self._times()
        requester = self._person(Field.requester, "requester")
        messages = self._messages(values, times, requester)
        values["subject"] = self._subject(values, messages)
        if not values.get("description") and messages:
            values["description"] = messages[0].body
        custom = self._read(Field.custom, lambda value: _customs(value, self.reading)) or {}
        custom |= {
            name.removeprefix(CUSTOM): each
            for name, each in self.found.items()
            if name.startswith(CUSTOM) and each not in (None, "")
        }
        if self.problems:
            raise RowRefusedError(*self.problems)
        created_at = times.get("created_at") or (messages[0].created_at if messages else self.now)
        return IncomingTicket(
            line=self.line,
            external_id=external_id or "",
            values=values | {name: each for name, each in times.items() if name != "created_at" and each},
            created_at=created_at,
            given=frozenset(self.found),
            custom=custom,
            requester=requester,
            assignee=self._person(Field.assignee, "assignee"),
            account=self._account(),
            team=self._read(Field.team, read.told),
            messages=messages,
            notes=self.notes,
        )

    def _columns(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in (each for each in NAMES if each in self.found):
            values[name] = self._read(name, read.told)
        if Field.environment in self.found:
            values["environment"] = self._read(
                Field.environment, lambda value: read.line_of(value, ENVIRONMENT_MAX)
            )
        if Field.description in self.found:
            values["description"] = self._body(Field.description)
        if Field.tags in self.found:
            values["tags"] = self._tags()
        for state, parse in STATES.items():
            if state in self.found:
                values[state] = self._state(state, parse)
        if str(self.found.get(Field.status, "")).strip().lower() == "merged":
            self.notes.append(("status", "Merged tickets come as closed ones: into what is not told"))
        return values

    def _state(self, name: str, parse: Parse) -> Any:
        further = self.reading.values.get(name, {})
        return self._read(name, lambda value: parse(value, further))

    def _body(self, name: Field) -> str:
        body = self._read(name, read.text_of) or ""
        maximum = HTML_MAX_BYTES if self._format() is BodyFormat.html else BODY_MAX_BYTES
        if len(body.encode()) > maximum:
            self._refuse(name, f"Has more than {maximum} bytes")
        return body.strip()

    def _format(self) -> BodyFormat:
        written = str(self.found.get(Field.description_format) or BodyFormat.text).lower()
        return BodyFormat(written) if written in BodyFormat.__members__ else BodyFormat.text

    def _tags(self) -> list[str]:
        tags = self._read(Field.tags, read.tags_of) or []
        if len(tags) > TAGS_MAX:
            self.notes.append(("tags", f"Only the first {TAGS_MAX} tags of a ticket are taken"))
        return tags[:TAGS_MAX]

    def _times(self) -> dict[str, datetime | None]:
        names = (Field.created_at, Field.updated_at, Field.solved_at, Field.closed_at)
        return {
            name: self._read(name, lambda value: read.moment_of(value, now=self.now, zone=self.reading.zone))
            for name in names
            if name in self.found
        }

    def _subject(self, values: Mapping[str, Any], messages: Sequence[IncomingMessage]) -> str:
        body = values.get("description") or (messages[0].body if messages else "")
        whole = self._read(Field.subject, lambda value: read.line_of(value, 10 * SUBJECT_MAX)) or ""
        if len(whole) > SUBJECT_MAX:
            self.notes.append(("subject", f"Cut after {SUBJECT_MAX} characters"))
        first = next(iter(str(body).strip().splitlines()), "")
        return read.line_of(whole or first, SUBJECT_MAX) or NO_SUBJECT

    def _messages(
        self, values: Mapping[str, Any], times: Mapping[str, datetime | None], requester: PersonRef
    ) -> list[IncomingMessage]:
        created_at = times.get("created_at") or self.now
        given: list[IncomingMessage] | None = self._read(
            Field.messages,
            lambda value: messages_of(
                value, created_at=created_at, now=self.now, zone=self.reading.zone, notes=self.notes
            ),
        )
        if given:
            return given
        description = values.get("description")
        if not description:
            return []
        return [first_message(description, self._format(), at=created_at, author=requester)]

    def _person(self, whole: Field, prefix: str) -> PersonRef:
        value = self.found.get(whole)
        if isinstance(value, dict):
            return person_of(value)
        name, email = read.address_of(self._read(whole, read.told))
        _, told = read.address_of(self._read_named(f"{prefix}_email"))
        return PersonRef(
            id=self._read_named(f"{prefix}_id"),
            external_id=self._read_named(f"{prefix}_external_id"),
            email=told or email,
            name=self._read_named(f"{prefix}_name") or name,
        )

    def _account(self) -> AccountRef:
        value = self.found.get(Field.account)
        if isinstance(value, dict):
            return AccountRef(
                read.told(value.get("id")), read.told(value.get("external_id")), read.told(value.get("name"))
            )
        return AccountRef(
            id=self._read_named("account_id"),
            external_id=self._read_named("account_external_id"),
            name=self._read(Field.account, read.told),
        )

    def _read_named(self, name: str) -> str | None:
        found: str | None = self._read(name, read.told)
        return found

    def _read(self, name: str, parse: Callable[[Any], Any]) -> Any:
        try:
            return parse(self.found.get(name))
        except ValueRefusedError as problem:
            self._refuse(name, str(problem))
        except RowRefusedError as refused:
            self.problems.extend(refused.problems)
        return None

    def _refuse(self, name: str, message: str) -> None:
        self.problems.append(FieldProblem(str(name), message))
