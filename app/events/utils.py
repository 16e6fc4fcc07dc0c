"""Pure rules: what a filter means, and what a reader sees of an event."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

from app.events.constants import FILTERS_MAX, SUBJECT_PATTERN, TYPE_MAX, TYPE_PATTERN, ActorKind
from app.events.models import Event
from app.events.schemas import EventActor, EventSubject, EventView
from app.exceptions import InvalidError
from app.identity.constants import PrincipalKind, Role
from app.identity.principal import Principal

SUBJECT = re.compile(SUBJECT_PATTERN)
TYPE = re.compile(TYPE_PATTERN)


class Place(NamedTuple):
    """Where an event stands in the log; places compare as the log is read."""

    transaction: int
    number: int


START = Place(-1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which events are asked for; several subjects or types mean any of them, none means all.

    ``types`` are types, or ``ticket.*`` for all below, or ``*``.
    """

    subjects: tuple[tuple[str, UUID], ...] = ()
    types: tuple[str, ...] = ()


def fits(filters: Filters, *, type: str, subject: tuple[str, UUID]) -> bool:  # noqa: A002 - as filters name it
    """Whether something of this type about this subject is asked for."""
    kinds = {type, "*", *(f"{type[:end]}.*" for end, each in enumerate(type) if each == ".")}
    return (not filters.subjects or subject in filters.subjects) and (
        not filters.types or not kinds.isdisjoint(filters.types)
    )


def read_filters(subjects: Sequence[str] | None, types: Sequence[str] | None) -> Filters:
    """The filters of a query string; ``InvalidError`` with the parameter's name."""
    for field, given in (("subject", subjects), ("type", types)):
        if len(given or ()) > FILTERS_MAX:
            refuse(field, f"At most {FILTERS_MAX} at once")
    if not all(map(SUBJECT.fullmatch, subjects or ())):
        refuse("subject", "Expected a type and an id, such as `ticket:019a0000-0000-7000-8000-000000000001`")
    if not all(len(each) <= TYPE_MAX and TYPE.fullmatch(each) for each in types or ()):
        refuse("type", "Expected a type such as `ticket.created`, or `ticket.*`")
    pairs = (each.partition(":") for each in subjects or ())
    return Filters(
        subjects=tuple(dict.fromkeys((kind, UUID(identity)) for kind, _, identity in pairs)),
        types=tuple(dict.fromkeys(types or ())),
    )


def refuse(field: str, message: str) -> NoReturn:
    """Raise the ``InvalidError`` of one parameter."""
    raise InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}])


def show(event: Event, reader: Principal | None = None) -> EventView:
    """The event as the reader sees it; without one, whole, as staff see it."""
    whole = reader is None or reader.is_staff
    own = reader is not None and _is_own(event, reader)
    hidden = frozenset() if whole else frozenset(event.staff_fields)
    return EventView(
        id=event.id,
        type=event.type,
        subject=EventSubject(type=event.subject_type, id=event.subject_id),
        actor=_actor(event) if whole else _actor_for_customers(event, own=own),
        account_id=event.account_id,
        person_id=event.person_id,
        before=_without(event.before, hidden),
        after=_without(event.after, hidden),
        request_id=event.request_id if whole or own else None,
        occurred_at=event.occurred_at,
    )


def _is_own(event: Event, reader: Principal) -> bool:
    return reader.person_id is not None and event.actor_person_id == reader.person_id


def _actor(event: Event) -> EventActor:
    return EventActor(
        kind=ActorKind(event.actor_kind),
        role=Role(event.actor_role),
        person_id=event.actor_person_id,
        key_id=event.actor_key_id,
    )


def _actor_for_customers(event: Event, *, own: bool) -> EventActor:
    kind = ActorKind.CUSTOMER if event.actor_role == Role.customer else ActorKind.STAFF
    if event.actor_kind == PrincipalKind.system:
        kind = ActorKind.SYSTEM
    return EventActor(kind=kind, role=None, person_id=event.actor_person_id if own else None, key_id=None)


def _without(fields: Mapping[str, Any] | None, hidden: frozenset[str]) -> dict[str, Any] | None:
    return None if fields is None else {name: each for name, each in fields.items() if name not in hidden}
