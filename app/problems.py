"""RFC 9457 problem details: every error of every path leaves as ``application/problem+json``.

The stable member is ``code``; ``detail`` is for people. Nothing of the request is echoed but field names.
"""

from __future__ import annotations

import logging
import re
from typing import Annotated, Any

import msgspec
from advanced_alchemy.exceptions import RepositoryError
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.database import is_database_away
from app.exceptions import (
    ConflictError,
    DatabaseUnavailableError,
    InvalidError,
    NotAuthenticatedError,
    TrideskError,
    UnavailableError,
    UnprocessableError,
)
from app.idempotency.dependencies import handle_replay
from app.idempotency.exceptions import Replay
from app.logs import request_id
from app.requests import plain_words

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
AnyRequest = Request[Any, Any, Any]

HTTP_CODES = {
    400: ("validation_error", "Validation error"),
    401: ("not_authenticated", "Not authenticated"),
    403: ("permission_denied", "Permission denied"),
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "Method not allowed"),
    406: ("not_acceptable", "Not acceptable"),
    413: ("payload_too_large", "Payload too large"),
    415: ("unsupported_media_type", "Unsupported media type"),
    422: ("unprocessable", "Unprocessable"),
    429: ("rate_limited", "Too many requests"),
    503: ("service_unavailable", "Service unavailable"),
}


DETAILS = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is too large.",
}
# Texts that Postgres refuses although they passed our own checks are the caller's, not ours:
# untranslatable or not in the repertoire, out of range, a date that overflows.
UNFIT_SQLSTATES = frozenset({"22000", "22003", "22008", "22021", "22P05"})
UNIQUE_VIOLATION = "23505"
CONTENDED_SQLSTATES = frozenset({"40001", "40P01", "55P03"})  # serialization, deadlock, lock not available
MISSING_PARAMETER = re.compile(r"Missing required \w+ parameter '([\w-]+)'")


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One field that does not fit, by its path in the body or its parameter name."""

    field: Annotated[str, msgspec.Meta(examples=["title"])]
    message: Annotated[str, msgspec.Meta(examples=["Expected `str` of length >= 1"])]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, as RFC 9457 problem details with a stable `code`."""

    title: Annotated[str, msgspec.Meta(description="Short, the same for every problem of this code.")]
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    code: Annotated[str, msgspec.Meta(description="Stable; branch on this.", examples=["not_found"])]
    type: Annotated[str, msgspec.Meta(description="`about:blank`: `code` identifies the problem.")] = (
        "about:blank"
    )
    detail: Annotated[str | None, msgspec.Meta(description="For people; may change.")] = None
    request_id: Annotated[str | None, msgspec.Meta(description="Quote it to support; it is in the log.")] = (
        None
    )
    errors: Annotated[
        list[FieldError] | None, msgspec.Meta(description="The fields of a validation error.")
    ] = None


def problem_members(error: TrideskError) -> dict[str, Any]:
    """The members of the problem that an error of our tree becomes."""
    members = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status_code,
        "code": error.code,
        "detail": error.detail or None,
        "request_id": request_id.get(),
        **error.extra,
    }
    return {name: value for name, value in members.items() if value is not None}


def _respond(error: TrideskError, headers: dict[str, str] | None = None) -> Response[bytes]:
    headers = dict(headers or {})
    if isinstance(error, NotAuthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    body = msgspec.json.encode(problem_members(error), enc_hook=str)
    return Response(body, status_code=error.status_code, media_type=PROBLEM_JSON, headers=headers)


def handle_tridesk_error(request: AnyRequest, error: TrideskError) -> Response[bytes]:
    """Our own errors carry everything; those of the server's making are logged."""
    if isinstance(error, UnavailableError):  # expected, and often: a probe while the database is away
        logger.warning("%s: %s", error.code, error.detail)
    elif error.status_code >= 500:
        logger.error("%s: %s", error.code, error.detail, exc_info=error)
    return _respond(error)


def _field_errors(request: AnyRequest, extra: Any) -> list[dict[str, str]]:
    """The framework's list of errors, by the names that the caller knows; values are never repeated."""
    if not isinstance(extra, list):
        return []
    return [
        {
            "field": _public_name(request, str(each.get("key") or each.get("source") or "body")),
            "message": _message(str(each.get("key", "")), str(each.get("message", ""))),
        }
        for each in extra
        if isinstance(each, dict)
    ]


def _message(key: str, message: str) -> str:
    """The framework says of an argument that did not come no more than its name, as a ``KeyError`` does."""
    return "Required" if message == repr(key) else plain_words(message)


def _public_name(request: AnyRequest, key: str) -> str:
    """The framework names a parameter as the function does; the caller knows its alias."""
    handler = request.scope.get("route_handler")
    if not isinstance(handler, HTTPRouteHandler) or key not in handler.parsed_fn_signature.parameters:
        return key
    if key == "data":
        return "body"
    return getattr(handler.parsed_fn_signature.parameters[key].kwarg_definition, "name", None) or key


def handle_http_exception(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """The framework's errors in our form. Its own texts are replaced: some name the URL with its query."""
    if error.status_code >= 500 and is_database_away(error):
        return _database_away(error)
    if isinstance(error, ValidationException):
        errors = _field_errors(request, error.extra) or _missing(error.detail)
        detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
        return _respond(InvalidError(detail or "The request does not fit its description.", errors=errors))
    if isinstance(error, InternalServerException) and "disconnected" in error.detail:
        return _respond(InvalidError("The connection ended before the body did."))
    code, title = HTTP_CODES.get(error.status_code, ("internal_error", "Internal error"))
    shown = TrideskError(DETAILS.get(error.status_code, ""), code=code)
    members = problem_members(shown) | {"title": title, "status": error.status_code}
    if error.status_code >= 500:
        logger.error("unhandled error", exc_info=error)
    headers = dict(error.headers or {}) | ({"WWW-Authenticate": "Bearer"} if error.status_code == 401 else {})
    return Response(
        msgspec.json.encode(members), status_code=error.status_code, media_type=PROBLEM_JSON, headers=headers
    )


def _missing(detail: str) -> list[dict[str, str]]:
    named = MISSING_PARAMETER.match(detail)
    return [{"field": named[1], "message": "Required"}] if named else []


def contradiction(error: IntegrityError) -> TrideskError:
    """An error of our tree for a refused constraint: a duplicate is a conflict, the rest unprocessable.

    The constraint's name is the schema's own business: it is logged, not shown.
    """
    logger.info("refused by %s", getattr(getattr(error.orig, "__cause__", None), "constraint_name", None))
    if getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION:
        return ConflictError("Something with the same identity exists already.")
    return UnprocessableError("The request contradicts what is stored.")


def handle_database_error(request: AnyRequest, error: DBAPIError) -> Response[bytes]:
    """A constraint caught what a rule did not, two requests wait for each other, or a value has no column."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    if is_database_away(error):
        return _database_away(error)
    if isinstance(error, IntegrityError):
        return _respond(contradiction(error))
    if sqlstate in CONTENDED_SQLSTATES:
        logger.warning("requests stood in each other's way: %s", sqlstate)
        again = "Another request was changing the same things; try again."
        return _respond(UnavailableError(again, retry_after=1))
    if sqlstate in UNFIT_SQLSTATES:
        logger.warning("a value reached the database that it cannot hold: %s", type(error.orig).__name__)
        return _respond(InvalidError("The request holds a value that cannot be stored."))
    return _unforeseen(error)


def handle_exception_group(request: AnyRequest, error: ExceptionGroup[Exception]) -> Response[bytes]:
    """Task groups wrap even a single error; unwrap it, so that it is answered as itself."""
    inner: Exception = error
    while isinstance(inner, ExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return handle_exception(request, inner)


def handle_exception(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Everything else: the database away is 503, the rest is ours to mend and says nothing of itself."""
    for kind in (Replay, TrideskError, HTTPException, DBAPIError):
        if isinstance(error, kind):
            response: Response[bytes] = EXCEPTION_HANDLERS[kind](request, error)
            return response
    return _database_away(error) if is_database_away(error) else _unforeseen(error)


def _database_away(error: Exception) -> Response[bytes]:
    logger.warning("database away: %s", type(error).__name__)
    return _respond(DatabaseUnavailableError("The database does not answer; try again.", retry_after=5))


def _unforeseen(error: Exception) -> Response[bytes]:
    logger.error("unhandled error", exc_info=error)
    return _respond(TrideskError("Something went wrong on our side."))


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    Replay: handle_replay,
    TrideskError: handle_tridesk_error,
    HTTPException: handle_http_exception,
    RepositoryError: handle_exception,
    DBAPIError: handle_database_error,
    PoolTimeoutError: handle_exception,
    ExceptionGroup: handle_exception_group,
    Exception: handle_exception,
}

__all__ = ["EXCEPTION_HANDLERS", "PROBLEM_JSON", "Problem", "problem_members"]
