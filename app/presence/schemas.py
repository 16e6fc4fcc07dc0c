"""What a desk's routes about presence take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.presence.constants import SHOWN_MAX, State


class PresenceUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caller does with the case."""

    state: Annotated[
        State, Meta(description="`replying` while a reply is being written.", examples=["viewing"])
    ] = State.viewing


class Viewer(Struct, frozen=True, kw_only=True):
    """Somebody who has the case open."""

    viewer_id: Annotated[UUID, Meta(description="The person's id, or the key's where it is nobody's.")]
    name: str
    state: State
    since: Annotated[datetime, Meta(description="When they opened it or changed what they do.")]
    expires_at: Annotated[datetime, Meta(description="They count as gone then, if not heard of again.")]


class PresenceList(Struct, frozen=True, kw_only=True):
    """Who else has the case open, the longest in the same state first; 50 at most."""

    viewers: Annotated[list[Viewer], Meta(max_length=SHOWN_MAX)]
