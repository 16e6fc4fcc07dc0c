"""Routes of the mail room: mail in, unsubscribing, and the logs and the list for staff."""

from __future__ import annotations

from litestar import Router

from app.config import Settings
from app.mail.constants import FORM_OVERHEAD
from app.mail.controllers.administration import (
    create_suppression,
    delete_suppression,
    list_inbound_mail,
    list_outgoing_mail,
    list_suppressions,
)
from app.mail.controllers.inbound import receive_email
from app.mail.controllers.unsubscribing import confirm_unsubscribe, unsubscribe_reader


def mail_router(settings: Settings) -> Router:
    """All routes of the room; the one that takes mail has a body limit of its own."""
    inbound = Router(
        path="/inbound",
        route_handlers=[receive_email],
        request_max_body_size=settings.mail_max_bytes + FORM_OVERHEAD,
    )
    return Router(
        path="/v1",
        route_handlers=[
            inbound,
            confirm_unsubscribe,
            unsubscribe_reader,
            list_inbound_mail,
            list_outgoing_mail,
            list_suppressions,
            create_suppression,
            delete_suppression,
        ],
        tags=["mail"],
    )
