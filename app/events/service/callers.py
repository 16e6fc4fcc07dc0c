"""Whether who opened a stream may still read, and as whom."""

from __future__ import annotations

import time
from dataclasses import replace

import jwt
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import service as identity
from app.identity.constants import TOKEN_LEEWAY, PrincipalKind
from app.identity.exceptions import InvalidTokenError, PersonDeactivatedError
from app.identity.models import Person
from app.identity.principal import Principal


async def renew(session: AsyncSession, principal: Principal, credential: str) -> Principal:
    """The caller as it stands now: account, role of a key. ``NotAuthenticatedError`` when it is over.

    ``credential`` is the one that ``principal`` was made of; a token keeps its role until it expires.
    """
    if principal.kind == PrincipalKind.api_key:
        return (await identity.authenticate_key(session, credential)).principal
    if expires_at(credential) + TOKEN_LEEWAY < time.time():
        raise InvalidTokenError("The token has expired.")
    person = await session.get(Person, principal.person_id, populate_existing=True)
    if person is None or not person.active:
        raise PersonDeactivatedError("The person of this token was deactivated.")
    return replace(principal, account_id=person.account_id, sees_account=person.sees_account)


def expires_at(token: str) -> float:
    """``exp`` of a token whose signature was verified before; seconds since 1970, infinity without one."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return float(claims.get("exp", "inf"))
