"""What the events room's routes give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from app.events.constants import ActorKind, PresenceState
from app.identity.constants import Role
from app.problems import Problem


class EventSubject(Struct, frozen=True, kw_only=True):
    """What the event is about."""

    type: Annotated[str, Meta(examples=["ticket"])]
    id: UUID


class EventActor(Struct, frozen=True, kw_only=True):
    """Who did it. A customer sees `staff`, `customer` or `system`, and an id only where it is their own."""

    kind: ActorKind
    role: Role | None
    person_id: UUID | None
    key_id: Annotated[UUID | None, Meta(description="The API key that was used.")]


class EventView(Struct, frozen=True, kw_only=True):
    """Something that happened. `before` and `after` have the fields that changed."""

    id: UUID
    type: Annotated[str, Meta(examples=["ticket.created"])]
    subject: EventSubject
    actor: EventActor
    account_id: Annotated[UUID | None, Meta(description="The account whose matter it is.")]
    person_id: Annotated[UUID | None, Meta(description="The person whose matter it is.")]
    before: Annotated[
        dict[str, Any] | None, Meta(description="Null for what was made, and when a person was erased.")
    ]
    after: Annotated[
        dict[str, Any] | None, Meta(description="Null for what is gone, and when a person was erased.")
    ]
    request_id: Annotated[
        str | None, Meta(description="`X-Request-ID` of the request that did it; a customer sees their own.")
    ]
    occurred_at: datetime


class PresenceChange(Struct, frozen=True, kw_only=True):
    """Somebody of the staff has opened a case, begins or stops writing a reply, or has closed it.

    Told once, when it changes, to the streams of the staff that are open by then, their own too, and not
    kept: it has no `id` and does not come again. Ask the case's `/presence` once the stream has begun.
    """

    subject: EventSubject
    viewer_id: Annotated[
        UUID,
        Meta(description="The person's id, or the key's where it is nobody's."),
    ]
    name: str
    state: Annotated[
        PresenceState, Meta(description="`left` comes at the latest a minute after they were last heard of.")
    ]
    since: Annotated[datetime, Meta(description="When they opened it or changed what they do.")]


class StreamFailure(Struct, frozen=True, kw_only=True):
    """Why the stream ends."""

    problem: Problem
