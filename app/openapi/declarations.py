"""What a handler says of itself that its signature cannot: passed as its ``opt``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar.handlers import HTTPRouteHandler

from app.exceptions import DatabaseUnavailableError, TrideskError, UnavailableError
from app.idempotency.constants import REQUIRED, RETURNS_SECRET
from app.listing import Listing
from app.preconditions import CONDITIONAL, ETAG

OPT = "documented"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """See ``documented``."""

    raises: tuple[type[TrideskError], ...] = ()
    bodies: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    listing: Listing[Any] | None = None


def documented(
    *,
    raises: Sequence[type[TrideskError]] = (),
    bodies: Mapping[str, Any] | None = None,
    events: Mapping[str, Any] | None = None,
    example: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    listing: Listing[Any] | None = None,
    idempotency_required: bool = False,
    returns_secret: bool = False,
    etag: bool = True,
    conditional: bool = True,
) -> dict[str, Any]:
    """A handler's ``opt``: ``@post("/", opt=documented(raises=[CollectionExistsError]))``.

    ``raises``: errors of its own, beside those that every operation can give. ``bodies``: media type to
    Struct, where the handler reads the request itself. ``events``: event name to Struct, where it also
    answers with server-sent events. ``example``: a body that works; otherwise one is put together from the
    fields' examples. ``headers``: name to description, of the successful response. ``listing``: what a list
    sorts by. ``idempotency_required``: a POST that is refused without an ``Idempotency-Key``.
    ``returns_secret``: its answer is stored without its body. ``etag=False``: the ``version`` of what it
    returns is not the one that changes with every change. ``conditional=False``: it also tells of things
    that this ``version`` does not count, such as votes, so that a GET is always answered in full.
    """
    declaration = Declaration(
        raises=tuple(raises),
        bodies=bodies or {},
        events=events or {},
        example=example,
        headers=headers or {},
        listing=listing,
    )
    return {
        OPT: declaration,
        REQUIRED: idempotency_required,
        RETURNS_SECRET: returns_secret,
        ETAG: etag,
        CONDITIONAL: conditional,
    }


def declaration_of(handler: HTTPRouteHandler) -> Declaration:
    """What the handler declared; nothing, if it did not."""
    declared = handler.opt.get(OPT)
    if isinstance(declared, Declaration):
        return declared
    return _ELSEWHERE.get(str(handler.operation_id), Declaration())


# Operations of rooms that stand below this one and so cannot import it.
_ELSEWHERE = {
    "get_readiness": Declaration(raises=(UnavailableError, DatabaseUnavailableError)),
}
