"""Tickets on their way in: what a record says, before anything is looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.conversations.constants import BodyFormat, MessageKind, Speaker
from app.conversations.rendering import Body


@dataclass(frozen=True, slots=True)
class PersonRef:
    """Somebody, by what a record says. ``id``: the other system's, ``external_id``: the host app's."""

    id: str | None = None
    external_id: str | None = None
    email: str | None = None  # lower case
    name: str | None = None

    def __bool__(self) -> bool:
        return any((self.id, self.external_id, self.email, self.name))

    def is_same(self, other: PersonRef) -> bool:
        """Whether both say so: by an id, an address, or where there is neither, a name."""
        mine, theirs = (self.id, self.external_id, self.email), (other.id, other.external_id, other.email)
        if any(one is not None and one == another for one, another in zip(mine, theirs, strict=True)):
            return True
        by_name = not any(mine) or not any(theirs)
        return by_name and self.name is not None and self.name == other.name


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account, likewise."""

    id: str | None = None
    external_id: str | None = None
    name: str | None = None

    def __bool__(self) -> bool:
        return any((self.id, self.external_id, self.name))


@dataclass(slots=True)
class IncomingMessage:
    """A message; ``key`` tells it from the ticket's others, in every export of it alike."""

    key: str
    body: str
    format: BodyFormat
    kind: MessageKind
    created_at: datetime
    author: PersonRef
    speaker: Speaker | None = None  # None: not told
    rendered: Body | None = None


@dataclass(slots=True)
class IncomingTicket:
    """A ticket. ``values``: columns of ours that the record speaks of; the rest refers to other things."""

    line: int
    external_id: str
    values: dict[str, Any]
    created_at: datetime
    given: frozenset[str]
    custom: Mapping[str, Any] = field(default_factory=dict)
    requester: PersonRef = PersonRef()
    assignee: PersonRef = PersonRef()
    account: AccountRef = AccountRef()
    team: str | None = None
    messages: Sequence[IncomingMessage] = ()
    notes: list[tuple[str, str]] = field(default_factory=list)  # (field, warning)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """Why a record is no ticket."""

    field: str
    message: str


class RowRefusedError(Exception):
    """What is wrong with a record, all that was found."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__("; ".join(f"{each.field}: {each.message}" for each in problems))
        self.problems = problems
