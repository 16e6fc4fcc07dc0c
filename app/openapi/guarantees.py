"""What follows for an operation from the guarantees of the house: keys, versions, limits.

Nothing here is declared by hand: a handler that takes ``session`` or ``keyed`` honours keys, one that takes
``expected`` honours ``If-Match``, one that returns something with a ``version`` has an ETag.
"""

from __future__ import annotations

from typing import Any, get_origin

import msgspec
from litestar.handlers import HTTPRouteHandler

from app.exceptions import RateLimitedError, TrideskError
from app.idempotency.constants import KEY_HEADER, KEY_PATTERN, REPLAYED_HEADER, REQUIRED, RETURNS_SECRET
from app.idempotency.exceptions import (
    KeyInFlightError,
    KeyRequiredError,
    KeyReusedError,
    ReplayErasedError,
    ReplayHasSecretError,
)
from app.preconditions import CONDITIONAL, ETAG, Expected, VersionMismatchError

Node = dict[str, Any]
NATURAL = {"type": "integer", "minimum": 0}

PARAMETERS: dict[str, Node] = {
    "IdempotencyKey": {
        "name": KEY_HEADER,
        "in": "header",
        "description": "Your own value for this one thing to do: repeated, it is answered as at first.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": KEY_PATTERN},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of what you have read: refused with 412 when it has been changed since.",
        "schema": {"type": "string", "maxLength": 1000, "examples": ['"3"']},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` that you have: 304 without a body when it still holds.",
        "schema": {"type": "string", "maxLength": 1000, "examples": ['"3"']},
    },
}
HEADERS: dict[str, Node] = {
    "ETag": {
        "description": "The `version` as an entity tag, for `If-Match` and `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
    "IdempotencyReplayed": {
        "description": "`true` when this is the answer that was given before.",
        "schema": {"type": "string", "const": "true"},
    },
    "RateLimitLimit": {"description": "Requests that you may make at once.", "schema": NATURAL},
    "RateLimitRemaining": {"description": "Those that are left now.", "schema": NATURAL},
    "RateLimitReset": {"description": "Seconds until all are back.", "schema": NATURAL},
    "RetryAfter": {"description": "Seconds after which to try again.", "schema": NATURAL},
}
LIMITS = {
    "RateLimit-Limit": "RateLimitLimit",
    "RateLimit-Remaining": "RateLimitRemaining",
    "RateLimit-Reset": "RateLimitReset",
}
LATER = frozenset({"429", "503"})  # statuses that say when to come back


def takes_key(handler: HTTPRouteHandler) -> bool:
    """Whether an ``Idempotency-Key`` means something: a POST by a known caller that has an effect."""
    providers = {"session", "keyed"} & handler.parsed_fn_signature.parameters.keys()
    return "POST" in handler.http_methods and bool(providers) and not handler.opt.get("public")


def takes_expected(handler: HTTPRouteHandler) -> bool:
    """Whether it honours ``If-Match``."""
    return any(field.annotation is Expected for field in handler.parsed_fn_signature.parameters.values())


def has_etag(handler: HTTPRouteHandler, returned: Any) -> bool:
    """Whether its answer has an ETag."""
    kind = get_origin(returned) or returned
    if not handler.opt.get(ETAG, True) or not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        return False
    return any(each.name == "version" and _is_integer(each.type) for each in msgspec.structs.fields(kind))


def _is_integer(annotation: Any) -> bool:
    return annotation is int or getattr(annotation, "__origin__", None) is int


def parameters_of(handler: HTTPRouteHandler, returned: Any) -> list[str]:
    """Names of ``PARAMETERS``; a required key is described on its own."""
    names = []
    if takes_key(handler) and not handler.opt.get(REQUIRED):
        names.append("IdempotencyKey")
    if takes_expected(handler):
        names.append("IfMatch")
    is_conditional = "GET" in handler.http_methods and handler.opt.get(CONDITIONAL, True)
    if is_conditional and has_etag(handler, returned):
        names.append("IfNoneMatch")
    return names


def required_key(handler: HTTPRouteHandler) -> list[Node]:
    """The parameter of an operation that is refused without a key."""
    if not handler.opt.get(REQUIRED):
        return []
    return [{**PARAMETERS["IdempotencyKey"], "required": True}]


def success_headers(handler: HTTPRouteHandler, returned: Any) -> dict[str, str]:
    """Header to name in ``HEADERS``, of a successful answer."""
    headers = {}
    if takes_key(handler):
        headers[REPLAYED_HEADER] = "IdempotencyReplayed"
    if has_etag(handler, returned):
        headers["ETag"] = "ETag"
    return headers


def guarantee_errors(handler: HTTPRouteHandler) -> list[type[TrideskError]]:
    """Errors that the guarantees bring with them."""
    kinds: list[type[TrideskError]] = []
    if not handler.opt.get("public"):
        kinds.append(RateLimitedError)
    if takes_key(handler):
        kinds += [KeyInFlightError, KeyReusedError, ReplayErasedError]
    if handler.opt.get(REQUIRED):
        kinds.append(KeyRequiredError)
    if handler.opt.get(RETURNS_SECRET):
        kinds.append(ReplayHasSecretError)
    if takes_expected(handler):
        kinds.append(VersionMismatchError)
    return kinds
