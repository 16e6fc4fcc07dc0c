"""What webhooks refuse, each with a stable ``code``."""

from __future__ import annotations

from app.exceptions import ConflictError, InvalidError, NotFoundError, TrideskError


class WebhookNotFoundError(NotFoundError):
    """There is no such webhook."""

    code = "webhook_not_found"
    title = "Webhook not found"


class DeliveryNotFoundError(NotFoundError):
    """The webhook has no such delivery."""

    code = "delivery_not_found"
    title = "Delivery not found"


class WebhookDisabledError(ConflictError):
    """Nothing is sent to a disabled webhook: enable it first."""

    code = "webhook_disabled"
    title = "Webhook disabled"


class WebhookURLError(InvalidError):
    """The URL is none that events may be sent to; ``errors`` says why."""

    code = "webhook_url_refused"
    title = "Webhook URL refused"

    def __init__(self, reason: str = "not allowed") -> None:
        super().__init__(f"url: {reason}", errors=[{"field": "url", "message": reason}])


class ForbiddenAddressError(TrideskError):
    """The receiver's name leads to no public address; an attempt's outcome, never an answer."""

    code = "forbidden_address"
    title = "Forbidden address"


class UnresolvableError(TrideskError):
    """The receiver's name leads nowhere; likewise."""

    code = "unresolvable"
    title = "Unresolvable name"
