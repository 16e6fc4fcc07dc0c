"""What the mail room refuses, each with a stable ``code``."""

from __future__ import annotations

from app.exceptions import ConflictError, NotAuthenticatedError, NotFoundError, UnavailableError


class InboundMailOffError(NotFoundError):
    """The server takes no mail: INBOUND_MAIL_SECRET is not set."""

    code = "inbound_mail_off"
    title = "Inbound mail is off"


class InvalidSignatureError(NotAuthenticatedError):
    """The signature is missing, wrong, or older than five minutes."""

    code = "invalid_signature"
    title = "Invalid signature"


class SuppressionNotFoundError(NotFoundError):
    """There is no such suppression."""

    code = "suppression_not_found"
    title = "Suppression not found"


class SuppressionExistsError(ConflictError):
    """The address is suppressed already; ``id`` is the entry's."""

    code = "suppression_exists"
    title = "Suppression exists"


class UnknownUnsubscribeLinkError(NotFoundError):
    """Not an unsubscribe link of this server."""

    code = "unknown_unsubscribe_link"
    title = "Unknown unsubscribe link"


class MailServerError(UnavailableError):
    """The mail server is away or refuses us for now; the mail stays queued."""

    code = "mail_server_unavailable"
    title = "Mail server unavailable"


class UnreadableMailError(ValueError):
    """A message without a sender or a shape; ``reason`` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MailRefusedError(Exception):
    """The mail server refused this mail for good.

    ``suppress``: it says that the address does not exist.
    """

    def __init__(self, reason: str, *, suppress: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suppress = suppress
