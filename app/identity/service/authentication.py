"""From a credential to a principal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import Row, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import LAST_USED_RESOLUTION, PrincipalKind, Role
from app.identity.exceptions import (
    InvalidKeyError,
    KeyExpiredError,
    KeyRevokedError,
    PersonDeactivatedError,
    PersonErasedError,
)
from app.identity.keys import key_matches, key_prefix
from app.identity.models import Account, ApiKey, Person
from app.identity.principal import Principal
from app.identity.service.accounts import upsert_account
from app.identity.service.people import upsert_person
from app.identity.tokens import Claims

# The database's clock decides, so that all processes agree.
KEY_BY_PREFIX = (
    select(
        ApiKey.id,
        ApiKey.name,
        ApiKey.role,
        ApiKey.secret_hash,
        ApiKey.person_id,
        ApiKey.revoked_at,
        func.coalesce(ApiKey.expires_at <= func.now(), False).label("expired"),
        or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - LAST_USED_RESOLUTION).label(
            "use_is_due"
        ),
        Person.name.label("person_name"),
        Person.role.label("person_role"),
        Person.active.label("person_active"),
        Person.account_id,
        Person.sees_account,
    )
    .outerjoin(Person, Person.id == ApiKey.person_id)
    .where(ApiKey.prefix == bindparam("prefix"))
)
PERSON_BY_SUBJECT = (
    select(
        Person.id,
        Person.name,
        Person.email,
        Person.role,
        Person.active,
        Person.account_id,
        Person.sees_account,
        Account.external_id.label("account"),
    )
    .outerjoin(Account, Account.id == Person.account_id)
    .where(Person.external_id == bindparam("subject"))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyMatch:
    """A good key's principal, and whether its last use is to be written again."""

    principal: Principal
    use_is_due: bool


async def authenticate_key(session: AsyncSession, key: str) -> KeyMatch:
    """The principal of a key's text; one indexed lookup, nothing cached.

    A key acts with its own role or its person's, whichever is lower, so that who is demoted takes their keys
    along. Errors: ``InvalidKeyError``, ``KeyRevokedError``, ``KeyExpiredError``, ``PersonDeactivatedError``;
    all but the first only for who has the secret.
    """
    prefix = key_prefix(key)
    row = (await session.execute(KEY_BY_PREFIX, {"prefix": prefix})).one_or_none() if prefix else None
    if row is None or not key_matches(key, row.secret_hash):
        raise InvalidKeyError("This is not an API key of this server.")
    if row.revoked_at is not None:
        raise KeyRevokedError("This API key was revoked.")
    if row.expired:
        raise KeyExpiredError("This API key has expired.")
    if row.person_id is not None and not row.person_active:
        raise PersonDeactivatedError("The person of this API key was deactivated.")
    return KeyMatch(principal=_key_principal(row), use_is_due=row.use_is_due)


def _key_principal(row: Row[*tuple[Any, ...]]) -> Principal:
    return Principal(
        kind=PrincipalKind.api_key,
        role=min(row.role, row.person_role) if row.person_id is not None else row.role,
        person_id=row.person_id,
        account_id=row.account_id,
        name=row.person_name or row.name,
        key_id=row.id,
        sees_account=bool(row.sees_account),
    )


async def authenticate_claims(session: AsyncSession, claims: Claims) -> Principal:
    """The principal of a verified token; its person and account are made or changed when it says so.

    ``PersonDeactivatedError`` when the person was deactivated or erased, which no token undoes.
    """
    row = (await session.execute(PERSON_BY_SUBJECT, {"subject": claims.subject})).one_or_none()
    if row is not None and not row.active:
        raise PersonDeactivatedError("The person of this token was deactivated.")
    if row is not None and not _differs(row, claims):
        return _token_principal(claims, row)
    account_id: UUID | UnsetType | None = UNSET
    if claims.account is None:
        account_id = None
    elif claims.account is not UNSET:
        account_id = (await upsert_account(session, claims.account)).id
    try:
        person = await upsert_person(
            session,
            claims.subject,
            name=claims.name,
            email=claims.email,
            account_id=account_id,
            role=claims.role if row is None or _may_change_role(row.role, claims) else UNSET,
        )
    except PersonErasedError as error:
        raise PersonDeactivatedError("The person of this token has been erased.") from error
    if not person.active:  # deactivated between the two statements
        raise PersonDeactivatedError("The person of this token was deactivated.")
    return _token_principal(claims, person)


def _token_principal(claims: Claims, person: Person | Row[*tuple[Any, ...]]) -> Principal:
    return Principal(
        kind=PrincipalKind.token,
        role=Role.customer if claims.role is UNSET else claims.role,
        person_id=person.id,
        account_id=person.account_id,
        name=person.name,
        sees_account=person.sees_account,
    )


def _may_change_role(stored: Role, claims: Claims) -> bool:
    """An issuer that may not make admins may not unmake one either."""
    return stored in claims.allowed_roles


def _differs(row: Row[*tuple[Any, ...]], claims: Claims) -> bool:
    said = ((claims.name, row.name), (claims.email, row.email), (claims.account, row.account))
    if any(claim is not UNSET and claim != stored for claim, stored in said):
        return True
    return claims.role is not UNSET and claims.role != row.role and _may_change_role(row.role, claims)
