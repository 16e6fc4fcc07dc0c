"""Authentication: every request to a route that is not public proves who it is, each time anew."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware

from app.config import Settings
from app.exceptions import NotAuthenticatedError
from app.identity import service
from app.identity.constants import CREDENTIAL_MAX_BYTES, KEY_SCHEME, PUBLIC
from app.identity.exceptions import InvalidKeyError, InvalidTokenError
from app.identity.principal import Principal
from app.identity.tokens import TokenVerifier

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

    from app.database import Database

logger = logging.getLogger(__name__)


class AuthenticationMiddleware(ASGIMiddleware):
    """Sets ``scope["user"]`` to the ``Principal`` and ``scope["auth"]`` to its kind.

    Routes with ``opt={"public": True}`` and OPTIONS requests, which only tell the allowed methods, pass
    without. A path that no route has is 404 for everybody: routing comes first, and the published schema
    names the paths anyway. No verdict is kept: a revoked key stops at its next request.
    """

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)
    exclude_opt_key = PUBLIC

    def __init__(self, settings: Settings, *, tokens: TokenVerifier | None = None) -> None:
        self._tokens = tokens or TokenVerifier(settings)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Authenticate, pass on, and note a key's use once the response has left."""
        if scope.get("method") == "OPTIONS":
            await next_app(scope, receive, send)
            return
        database: Database = scope["litestar_app"].state.database
        credential = bearer_credential(scope)
        principal, due = await self._authenticate(database, credential)
        scope["user"], scope["auth"] = principal, principal.kind
        try:
            await next_app(scope, receive, send)
        finally:
            if due is not None:
                await _record_use(database, due)

    async def _authenticate(self, database: Database, credential: str) -> tuple[Principal, UUID | None]:
        """(principal, id of the key whose use is to be written)."""
        if credential.startswith(f"{KEY_SCHEME}_"):
            async with database.session() as session:
                match = await service.authenticate_key(session, credential)
            return match.principal, match.principal.key_id if match.use_is_due else None
        if credential.count(".") != 2:
            raise InvalidKeyError("This is neither an API key nor a token.")
        if not self._tokens.is_configured:
            raise InvalidTokenError(
                "This server takes API keys only: neither JWT_SECRET nor JWT_JWKS_URL is set."
            )
        claims = await self._tokens.verify(credential)  # may wait for the provider: no connection is held yet
        async with database.session() as session:
            return await service.authenticate_claims(session, claims), None


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


async def _record_use(database: Database, key_id: UUID) -> None:
    try:
        async with database.session() as session:
            await service.record_key_use(session, key_id)
    except Exception as error:  # noqa: BLE001 - the request is answered; nothing about this may change that
        logger.warning("last use of a key not written: %s", type(error).__name__)
