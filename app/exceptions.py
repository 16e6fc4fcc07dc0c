"""Every error Tridesk raises on purpose, drawn as a tree.

TrideskError                      500 internal_error
├── ConfigurationError            startup only: a setting is missing, malformed or contradictory
├── NotFoundError                 404 not_found
├── ConflictError                 409 conflict
├── PermissionDeniedError         403 permission_denied
├── NotAuthenticatedError         401 not_authenticated
├── InvalidError                  400 validation_error
├── UnprocessableError            422 unprocessable
├── TooLargeError                 413 payload_too_large
├── UnsupportedMediaError         415 unsupported_media_type
├── RateLimitedError              429 rate_limited
└── UnavailableError              503 service_unavailable
    └── DatabaseUnavailableError  503 database_unavailable

Rooms subclass these and set their own stable ``code``; the HTTP side knows only this tree.
"""

from __future__ import annotations

from typing import Any, ClassVar


class TrideskError(Exception):
    """Root of the tree. ``detail`` is shown to the caller; ``extra`` becomes further members."""

    status_code: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str = "", *, code: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra
        if code is not None:
            self.code = code


class ConfigurationError(TrideskError):
    """A setting is missing, malformed or contradictory; the message names it and says what to do."""

    code = "configuration_error"
    title = "Configuration error"


class NotFoundError(TrideskError):
    """The thing does not exist, or the caller may not know that it does."""

    status_code = 404
    code = "not_found"
    title = "Not found"


class ConflictError(TrideskError):
    """The request is well formed but the state of the thing forbids it."""

    status_code = 409
    code = "conflict"
    title = "Conflict"


class PermissionDeniedError(TrideskError):
    """The caller is known and may not do this."""

    status_code = 403
    code = "permission_denied"
    title = "Permission denied"


class NotAuthenticatedError(TrideskError):
    """No credential, or one that is unknown, expired or revoked."""

    status_code = 401
    code = "not_authenticated"
    title = "Not authenticated"


class InvalidError(TrideskError):
    """The request does not fit its schema; ``errors`` lists the fields."""

    status_code = 400
    code = "validation_error"
    title = "Validation error"


class UnprocessableError(TrideskError):
    """The request fits its schema but cannot be carried out as it stands."""

    status_code = 422
    code = "unprocessable"
    title = "Unprocessable"


class TooLargeError(TrideskError):
    """The body is larger than the route's limit."""

    status_code = 413
    code = "payload_too_large"
    title = "Payload too large"


class UnsupportedMediaError(TrideskError):
    """The media type is not one that Tridesk reads."""

    status_code = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class RateLimitedError(TrideskError):
    """Too many requests; ``retry_after`` seconds say when to come back."""

    status_code = 429
    code = "rate_limited"
    title = "Too many requests"


class UnavailableError(TrideskError):
    """Something that Tridesk needs is away; the same request may succeed later."""

    status_code = 503
    code = "service_unavailable"
    title = "Service unavailable"


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer."""

    code = "database_unavailable"
    title = "Database unavailable"
