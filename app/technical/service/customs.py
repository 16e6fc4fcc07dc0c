"""Values of custom fields, checked against the fields that an admin has defined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.technical.exceptions import InvalidFieldError


async def checked(
    session: AsyncSession, present: Mapping[str, Any], given: Mapping[str, Any], *, actor: Principal
) -> dict[str, Any]:
    """The values with those given in place of those present; null takes one away. ``InvalidFieldError``."""
    if given:
        key = next(iter(given))
        raise InvalidFieldError(
            "There is no such field.", errors=[{"field": f"custom.{key}", "message": "Unknown field"}]
        )
    return dict(present)


async def visible(session: AsyncSession, *, principal: Principal) -> frozenset[str] | None:
    """Keys of the fields that the caller sees; None: all."""
    return None
