"""Providers of identity."""

from __future__ import annotations

from typing import Any

from litestar import Request

from app.identity.guards import connection_principal
from app.identity.principal import Principal


async def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    """Who is calling; registered for the whole app under the key ``principal``."""
    return connection_principal(request)
