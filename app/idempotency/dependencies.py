"""Idempotency at the edge: the key of a request, its session, the answer given before.

``read_key`` goes before every handler, ``provide_session`` around those that take a session: the key's lock,
the effect and the stored answer are one transaction.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.response.base import ASGIResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.idempotency import service
from app.idempotency.constants import (
    KEY,
    KEY_HEADER,
    REPLAYED_HEADER,
    REQUIRED,
    RETURNS_SECRET,
)
from app.idempotency.exceptions import InvalidKeyError, KeyRequiredError, Replay
from app.idempotency.keyed import KeyedRequest, digest
from app.identity.principal import Principal
from app.requests import ANSWER, CONTENT

AnyRequest = Request[Any, Any, Any]
KEYED = "tridesk.keyed"  # key of the scope's state
MULTIPART = "multipart/form-data"


async def read_key(request: AnyRequest) -> None:
    """Before the handler of every POST: read its ``Idempotency-Key`` and the body that it stands for.

    ``KeyRequiredError``, ``InvalidKeyError``. A route that asks for no credential has nobody whose key it
    could be: it recognises repeated messages by their own ids.
    """
    principal = request.scope.get("user")
    if request.method != "POST" or not isinstance(principal, Principal):
        return
    given = request.headers.getall(KEY_HEADER, [])
    opt = request.route_handler.opt
    if not given:
        if opt.get(REQUIRED):
            raise KeyRequiredError(
                f"Send an {KEY_HEADER}: a value of your own, new for each thing you mean to do.",
                errors=[{"field": KEY_HEADER, "message": "Required"}],
            )
        return
    if len(given) > 1 or not KEY.fullmatch(given[0]):
        message = "Not one value of 1 to 255 printable ASCII characters"
        raise InvalidKeyError(f"{KEY_HEADER}: {message}", errors=[{"field": KEY_HEADER, "message": message}])
    request.scope["state"][KEYED] = KeyedRequest(
        principal=principal,
        route=f"POST {request.scope['path_template']}",
        key=given[0],
        fingerprint=await _fingerprint(request),
        returns_secret=bool(opt.get(RETURNS_SECRET)),
    )


async def _fingerprint(request: AnyRequest) -> bytes:
    """Of all that the request says; a form's boundary is drawn anew by every attempt and says nothing."""
    kind, options = request.content_type
    body = await request.body()
    boundary = options.get("boundary", "") if kind == MULTIPART else ""
    parts = body.split(b"--" + boundary.encode("latin-1", "replace")) if boundary else [body]
    path = request.scope["path"].rstrip("/")
    query: bytes = request.scope.get("query_string", b"")
    return digest([path.encode(), query, kind.encode(), *parts])


async def provide_keyed_request(request: AnyRequest) -> KeyedRequest | None:
    """For handlers that open transactions of their own; None without a key. Registered as ``keyed``."""
    keyed: KeyedRequest | None = request.scope["state"].get(KEYED)
    return keyed


async def provide_session(
    request: AnyRequest, state: State, keyed: NamedDependency[KeyedRequest | None]
) -> AsyncGenerator[AsyncSession, None]:
    """The request's session, in one transaction. The only generator dependency of a handler.

    ``keyed`` is asked for as a dependency, so that the framework opens the session after all providers that
    ask for nothing. It runs those of one rank at once, and leaves a generator among them open when another
    one raises: a malformed ``If-Match`` would cost a connection.

    With a key the transaction begins with its lock and ends with the answer, which the framework has encoded
    by then: it resumes this generator last, and only the commit comes after. An error stores nothing. An
    answer that is a stream has no end to store: it is not replayed.
    """
    database: Database = state.database
    async with database.session() as session:
        await service.begin(session, keyed)
        yield session
        answer = request.scope["state"].get(ANSWER)
        if type(answer) is ASGIResponse:  # streams and files are kinds of it
            await service.store(
                session,
                keyed,
                status=answer.status_code,
                content=answer.body,
                headers=dict(answer.headers.items()),
                made_id=getattr(request.scope["state"].get(CONTENT), "id", None),
            )


def handle_replay(request: AnyRequest, replay: Replay) -> Response[bytes]:
    """The answer given before, and that it is one."""
    headers = {name: value for name, value in replay.headers.items() if name != "content-type"}
    return Response(
        replay.body,
        status_code=replay.status,
        media_type=replay.headers.get("content-type"),
        headers=headers | {REPLAYED_HEADER: "true"},
    )
