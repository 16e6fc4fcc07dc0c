"""Authentication: every request to a route that is not public proves who it is, each time anew."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware

from app.config import Settings
from app.exceptions import NotAuthenticatedError, RateLimitedError, TrideskError
from app.identity import service
from app.identity.constants import CREDENTIAL_MAX_BYTES, KEY_SCHEME, PUBLIC
from app.identity.exceptions import InvalidKeyError, InvalidTokenError
from app.identity.principal import Principal
from app.identity.tokens import TokenVerifier
from app.limits import Verdict, take

if TYPE_CHECKING:
    from uuid import UUID

    from litestar.types import ASGIApp, Message, Receive, Scope, Send
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.database import Database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Caller:
    """``key_due``: the key whose use is to be written. ``verdict``: None where nothing is counted."""

    principal: Principal
    verdict: Verdict | None
    key_due: UUID | None = None


class AuthenticationMiddleware(ASGIMiddleware):
    """Sets ``scope["user"]`` to the ``Principal`` and ``scope["auth"]`` to its kind.

    Routes with ``opt={"public": True}`` and OPTIONS requests, which only tell the allowed methods, pass
    without. A path that no route has is 404 for everybody: routing comes first, and the published schema
    names the paths anyway. No verdict is kept: a revoked key stops at its next request.

    In the same transaction the request is counted against the caller's limit, ``RATE_LIMIT_PER_MINUTE``: by
    person, whatever keys and tokens they use, or by the key that acts for nobody. Who cannot prove who they
    are is not counted: addresses are the business of the proxy in front, which alone knows them.
    """

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)
    exclude_opt_key = PUBLIC

    def __init__(self, settings: Settings, *, tokens: TokenVerifier | None = None) -> None:
        self._tokens = tokens or TokenVerifier(settings)
        self._per_minute = settings.rate_limit_per_minute

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Authenticate, count, pass on, and note a key's use once the response has left."""
        if scope.get("method") == "OPTIONS":
            await next_app(scope, receive, send)
            return
        database: Database = scope["litestar_app"].state.database
        credential = bearer_credential(scope)
        caller = await self._authenticate(database, credential)
        scope["user"], scope["auth"] = caller.principal, caller.principal.kind
        if caller.verdict is not None:
            send = _with_headers(send, caller.verdict)
        try:
            if caller.verdict is not None and caller.verdict.retry_after is not None:
                await _refuse(scope, receive, send, retry_after=caller.verdict.retry_after)
            else:
                await next_app(scope, receive, send)
        finally:
            if caller.key_due is not None:
                await _record_use(database, caller.key_due)

    async def _authenticate(self, database: Database, credential: str) -> _Caller:
        if credential.startswith(f"{KEY_SCHEME}_"):
            async with database.session() as session:
                match = await service.authenticate_key(session, credential)
                verdict = await self._count(session, match.principal)
            return _Caller(match.principal, verdict, match.principal.key_id if match.use_is_due else None)
        if credential.count(".") != 2:
            raise InvalidKeyError("This is neither an API key nor a token.")
        if not self._tokens.is_configured:
            raise InvalidTokenError(
                "This server takes API keys only: neither JWT_SECRET nor JWT_JWKS_URL is set."
            )
        claims = await self._tokens.verify(credential)  # may wait for the provider: no connection is held yet
        async with database.session() as session:
            principal = await service.authenticate_claims(session, claims)
            return _Caller(principal, await self._count(session, principal))

    async def _count(self, session: AsyncSession, principal: Principal) -> Verdict | None:
        counted = principal.person_id or principal.key_id
        if not self._per_minute or counted is None:
            return None
        return await take(session, counted, per_minute=self._per_minute)


def bearer_credential(scope: Scope) -> str:
    """The credential of the one ``Authorization`` header; its scheme in any case (RFC 9110, section 11.1)."""
    values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    if not values:
        raise NotAuthenticatedError("Send an API key or a token: `Authorization: Bearer …`.")
    if len(values) > 1:
        raise NotAuthenticatedError("There is more than one Authorization header.")
    if len(values[0]) > CREDENTIAL_MAX_BYTES:
        raise NotAuthenticatedError(f"The Authorization header is longer than {CREDENTIAL_MAX_BYTES} bytes.")
    scheme, _, credential = values[0].strip().partition(b" ")
    credential = credential.strip()
    if scheme.lower() != b"bearer":
        raise NotAuthenticatedError("The Authorization header must be `Bearer …`.")
    if not credential or not credential.isascii():
        raise NotAuthenticatedError(
            "The Authorization header has no credential that could be a key or a token."
        )
    return credential.decode("ascii")


def _with_headers(send: Send, verdict: Verdict) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders.from_message(message)
            for name, value in verdict.headers.items():
                headers[name] = value
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, *, retry_after: int) -> None:
    """Answer here: an error that leaves a middleware is answered further out, without this one's headers."""
    error = RateLimitedError(
        "You have made too many requests; come back when `Retry-After` has passed.", retry_after=retry_after
    )
    app = scope["litestar_app"]
    handler = app.exception_handlers.get(TrideskError)
    if handler is None or scope["type"] != ScopeType.HTTP:
        raise error
    request: Request[Any, Any, Any] = Request(scope, receive, send)
    response = handler(request, error)
    await response.to_asgi_response(app=None, request=request)(scope, receive, send)


async def _record_use(database: Database, key_id: UUID) -> None:
    try:
        async with database.session() as session:
            await service.record_key_use(session, key_id)
    except Exception as error:  # noqa: BLE001 - the request is answered; nothing about this may change that
        logger.warning("last use of a key not written: %s", type(error).__name__)
