"""Guards: which role a route asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from app.exceptions import NotAuthenticatedError, NotFoundError, PermissionDeniedError
from app.identity.constants import Role
from app.identity.principal import Principal

AnyConnection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[AnyConnection, BaseRouteHandler], Awaitable[None]]


def connection_principal(connection: AnyConnection) -> Principal:
    """Who is calling; ``NotAuthenticatedError`` on a route that the middleware let pass without asking."""
    principal = connection.scope.get("user")
    if not isinstance(principal, Principal):
        raise NotAuthenticatedError("This needs an API key or a token.")
    return principal


def require(role: Role) -> Guard:
    """A guard for callers of ``role`` or above: ``guards=[require(Role.agent)]``; others get 403.

    But a customer gets 404 at a route that names a thing by its id, whether or not there is such a thing:
    what they may not see does not exist for them, and the same answer to every id tells nothing.
    """

    async def guard(connection: AnyConnection, _: BaseRouteHandler) -> None:
        principal = connection_principal(connection)
        if not principal.at_least(role):
            if connection.path_params and not principal.is_staff:
                raise NotFoundError("There is no such thing, or not for you.")
            raise PermissionDeniedError(f"This needs the role {role} or a higher one.", required_role=role)

    return guard
