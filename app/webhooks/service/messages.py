"""What is sent: one event as a signed message of Standard Webhooks."""

from __future__ import annotations

import time
from uuid import UUID

import msgspec

from app.events.models import Event
from app.events.utils import show
from app.webhooks.utils import sign


def body_of(event: Event) -> bytes:
    """``{"type", "timestamp", "data"}``; data is the event as ``GET /v1/events`` shows it to an admin.

    Made anew at every attempt, so that a redelivery tells nothing about a person who was erased meanwhile.
    """
    message = {"type": event.type, "timestamp": event.occurred_at, "data": show(event)}
    return msgspec.json.encode(message)


def headers_of(
    message_id: UUID, secrets: list[str], body: bytes, *, now: float | None = None
) -> dict[str, str]:
    """The three headers of Standard Webhooks, for an attempt at this moment (seconds since 1970)."""
    timestamp = int(time.time() if now is None else now)
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, str(message_id), timestamp, body),
    }
