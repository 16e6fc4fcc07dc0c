"""What webhooks' routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.webhooks.constants import (
    DESCRIPTION_MAX,
    EVENT_MAX,
    EVENTS_MAX,
    URL_MAX,
    DeliveryError,
    DeliveryStatus,
    DisabledReason,
)

EVENT_PATTERN = r"^(\*|[a-z][a-z0-9_]*\.(\*|[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?))$"
NO_CONTROLS = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"

URL = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=URL_MAX,
        pattern=r"^https?://[!-~]+$",
        description="Where messages are posted: `https://…` (or `http://…`), without user and fragment.",
        examples=["https://hooks.example.com/tridesk"],
    ),
]
EventFilter = Annotated[
    str, Meta(max_length=EVENT_MAX, pattern=EVENT_PATTERN, examples=["person.*"], description="A type.")
]
EventFilters = Annotated[
    list[EventFilter],
    Meta(
        min_length=1,
        max_length=EVENTS_MAX,
        description="Which events: `*` all, `person.*` all of persons, `person.created` those alone.",
        examples=[["person.*", "document.ready"]],
    ),
]
Description = Annotated[
    str, Meta(max_length=DESCRIPTION_MAX, pattern=NO_CONTROLS, examples=["Orders of the web shop"])
]
Secret = Annotated[
    str,
    Meta(
        description="The signing secret, shown this once: `whsec_` and base64.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
    ),
]


class Webhook(Struct, frozen=True, kw_only=True):
    """An endpoint that events are sent to."""

    id: UUID
    url: Annotated[str, Meta(examples=["https://hooks.example.com/tridesk"])]
    events: Annotated[list[str], Meta(examples=[["person.*", "document.ready"]])]
    description: Annotated[str, Meta(examples=["Orders of the web shop"])]
    enabled: bool
    disabled_reason: Annotated[
        DisabledReason | None,
        Meta(
            description="`admin`: switched off; `gone`: answered 410; `failing`: the last retry failed too."
        ),
    ]
    failing_since: Annotated[
        datetime | None, Meta(description="The first failure since all was delivered; null: all is well.")
    ]
    previous_secret_until: Annotated[
        datetime | None,
        Meta(description="Until then the secret before the last rotation signs as well; null: none."),
    ]
    version: Annotated[int, Meta(ge=1)]
    created_by: Annotated[UUID | None, Meta(description="Person or key that made it.")]
    created_at: datetime
    updated_at: datetime


class WebhookCreated(Webhook, frozen=True, kw_only=True):
    """A new endpoint; the only time that its secret is shown."""

    secret: Secret


class WebhookCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new endpoint. It gets what happens from now on."""

    url: URL
    events: EventFilters
    description: Description = ""
    enabled: bool = True


class WebhookUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an endpoint; what is left out stays.

    While it is disabled nothing is sent and nothing lost: enabling it resumes where it stopped.
    """

    url: URL | UnsetType = UNSET
    events: EventFilters | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class DeliverySubject(Struct, frozen=True, kw_only=True):
    """What the event is about."""

    type: Annotated[str, Meta(examples=["person"])]
    id: UUID


class Delivery(Struct, frozen=True, kw_only=True):
    """One event on its way to an endpoint, and how the last attempt went."""

    id: Annotated[UUID, Meta(description="`webhook-id` of the message: the same at every attempt.")]
    event_id: UUID
    type: Annotated[str, Meta(examples=["person.created"])]
    subject: DeliverySubject
    status: DeliveryStatus
    attempts: Annotated[int, Meta(ge=0)]
    attempted_at: datetime | None
    next_attempt_at: Annotated[
        datetime | None, Meta(description="Null: under way, delivered, or behind an earlier one.")
    ]
    response_status: Annotated[int | None, Meta(description="HTTP status of the last attempt.")]
    response_body: Annotated[str | None, Meta(description="The first kilobyte that came back.")]
    error: DeliveryError | None
    duration_ms: int | None
    delivered_at: datetime | None
    created_at: datetime
