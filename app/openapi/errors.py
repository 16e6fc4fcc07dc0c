"""Which problems an operation can answer with, and how they are described."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from litestar.handlers import HTTPRouteHandler

from app.exceptions import (
    DatabaseUnavailableError,
    InvalidError,
    NotAuthenticatedError,
    NotFoundError,
    PermissionDeniedError,
    TooLargeError,
    TrideskError,
    UnavailableError,
    UnsupportedMediaError,
)
from app.openapi.declarations import declaration_of
from app.openapi.guarantees import guarantee_errors
from app.problems import PROBLEM_JSON, problem_members

DESCRIPTIONS = {
    400: "The request does not fit its description; `errors` names the fields.",
    401: "No valid API key or token.",
    403: "The caller's role does not allow this.",
    404: "No such thing, or not for this caller.",
    409: "What is stored forbids it.",
    412: "It has been changed since the version that you named.",
    413: "The body is too large.",
    415: "The body's media type is not one that this operation reads.",
    422: "The request fits its description but cannot be carried out.",
    429: "Too many requests; `Retry-After` says when to come back.",
    500: "A fault of the server.",
    503: "Something that the server needs is away; the same request may succeed later.",
}
ErrorType = type[TrideskError]


def is_public(handler: HTTPRouteHandler) -> bool:
    """Whether the operation needs no credential."""
    return bool(handler.opt.get("public"))


def errors_of(
    handler: HTTPRouteHandler, *, has_path_parameters: bool, has_body: bool
) -> dict[int, list[ErrorType]]:
    """Errors by status, in the order of the statuses."""
    kinds: list[ErrorType] = [InvalidError, TrideskError]
    if not is_public(handler):
        kinds += [NotAuthenticatedError, DatabaseUnavailableError, UnavailableError]
    if handler.resolve_guards():
        kinds.append(PermissionDeniedError)
    if has_body:
        kinds += [TooLargeError, UnsupportedMediaError]
    declared = declaration_of(handler).raises
    if has_path_parameters and not any(issubclass(kind, NotFoundError) for kind in declared):
        kinds.append(NotFoundError)
    return _by_status([*kinds, *guarantee_errors(handler), *declared])


def _by_status(kinds: Iterable[ErrorType]) -> dict[int, list[ErrorType]]:
    grouped: dict[int, list[ErrorType]] = {}
    for kind in kinds:
        if kind not in grouped.setdefault(kind.status_code, []):
            grouped[kind.status_code].append(kind)
    return dict(sorted(grouped.items()))


def describe(status: int, kinds: list[ErrorType], schema: dict[str, Any]) -> dict[str, Any]:
    """The response object of one status: what it means, its codes, an example of each."""
    codes = ", ".join(f"`{kind.code}`" for kind in kinds)
    return {
        "description": f"{DESCRIPTIONS.get(status, HTTPStatus(status).phrase)} Codes: {codes}.",
        "content": {
            PROBLEM_JSON: {
                "schema": schema,
                "examples": {kind.code: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _example(kind: ErrorType) -> dict[str, Any]:
    error = kind("Something went wrong on our side." if kind is TrideskError else _first_sentence(kind))
    if kind is InvalidError:
        error = kind(
            "limit: Expected `int` <= 100", errors=[{"field": "limit", "message": "Expected `int` <= 100"}]
        )
    return {**problem_members(error), "request_id": "0f4a9c1be2d34c6f8a7b5d0e9c2f1a63"}


def _first_sentence(kind: ErrorType) -> str:
    return (kind.__doc__ or kind.title).split("\n\n")[0].replace("\n    ", " ").replace("``", "`")
