"""What happened on a ticket."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from app.conversations.schemas import MessageView
from app.events.schemas import EventView


class TimelineEvent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="event"):
    """A change of the ticket, of its clocks or of who takes part."""

    at: Annotated[datetime, Meta(description="When it was done.")]
    event: EventView


class TimelineMessage(Struct, frozen=True, kw_only=True, tag_field="kind", tag="message"):
    """Something that was said; also what came with a merge, at its own time."""

    at: Annotated[datetime, Meta(description="When it was written.")]
    message: MessageView


TimelineItem = TimelineEvent | TimelineMessage


class TimelinePage(Struct, frozen=True, kw_only=True):
    """One page of a timeline; `next_cursor` is null on the last."""

    items: list[TimelineItem]
    next_cursor: str | None = None
