"""Tokens of the host app (RFC 7519): which are good, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt
from msgspec import UNSET, UnsetType

from app.config import Settings
from app.exceptions import InvalidError
from app.identity.constants import JWKS_ALGORITHMS, SECRET_ALGORITHMS, TOKEN_LEEWAY, Role
from app.identity.exceptions import InvalidTokenError
from app.identity.jwks import KeySet
from app.identity.utils import clean_email, clean_external_id, clean_name

# PyJWT's own texts may quote the token; these never do.
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired (`exp`)."),
    (jwt.ImmatureSignatureError, "The token is not valid yet (`nbf` or `iat`)."),
    (jwt.InvalidAudienceError, "The token is not meant for this server: `aud` must be JWT_AUDIENCE."),
    (jwt.InvalidIssuerError, "The token's `iss` is not JWT_ISSUER."),
    (jwt.exceptions.InvalidSubjectError, "The token's `sub` must be a string."),
    (jwt.InvalidIssuedAtError, "The token's `iat` must be a number of seconds."),
    (jwt.InvalidAlgorithmError, "The token's `alg` is not allowed here."),
    (jwt.InvalidSignatureError, "The token's signature does not verify."),
    (jwt.InvalidKeyError, "The key that signed the token is too weak or unusable."),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What a verified token says about its person; UNSET where it says nothing.

    ``role`` is the claimed one if the issuer may claim it, else UNSET: such a caller is a customer.
    """

    subject: str
    role: Role | UnsetType = UNSET
    account: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    allowed_roles: frozenset[Role] = frozenset({Role.customer})


class TokenVerifier:
    """Verifies with the secret (HS256) or the key set (RS256, ES256, EdDSA).

    The token's ``alg`` selects the source and each source allows its own algorithms only, so that a public
    key can never be taken for a shared secret.
    """

    def __init__(self, settings: Settings, *, key_set: KeySet | None = None) -> None:
        self._secret = settings.jwt_secret
        self._key_set = key_set
        if key_set is None and settings.jwt_jwks_url is not None:
            self._key_set = KeySet(settings.jwt_jwks_url)
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._allowed_roles = frozenset({Role.customer, *map(Role, settings.jwt_roles)})

    @property
    def is_configured(self) -> bool:
        """Whether this server takes tokens at all."""
        return self._secret is not None or self._key_set is not None

    async def verify(self, token: str) -> Claims:
        """What the token says.

        Errors: ``InvalidTokenError``; ``IdentityProviderUnavailableError`` when its key cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            payload = self._decode(token, await self._key(header.get("alg"), header.get("kid")))
        except jwt.PyJWTError as error:
            raise InvalidTokenError(_reason(error)) from None
        return self._claims(payload)

    async def _key(self, algorithm: object, kid: str | None) -> str | jwt.PyJWK:
        if algorithm in SECRET_ALGORITHMS and self._secret is not None:
            return self._secret
        if isinstance(algorithm, str) and algorithm in JWKS_ALGORITHMS and self._key_set is not None:
            return await self._key_set.find(kid, algorithm)
        raise jwt.InvalidAlgorithmError

    def _decode(self, token: str, key: str | jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=SECRET_ALGORITHMS if isinstance(key, str) else JWKS_ALGORITHMS,
            issuer=self._issuer,
            audience=self._audience,
            leeway=TOKEN_LEEWAY,
            options={"require": ["exp", "sub"], "enforce_minimum_key_length": True},
        )

    def _claims(self, payload: dict[str, Any]) -> Claims:
        try:
            return Claims(
                subject=clean_external_id(_text(payload, "sub"), field="sub"),
                role=self._role(payload),
                account=_account(payload),
                name=clean_name(name) if (name := _optional_text(payload, "name")) else UNSET,
                email=_email(payload),
                allowed_roles=self._allowed_roles,
            )
        except InvalidError as error:
            raise InvalidTokenError(f"The token's claims do not fit: {error.detail}") from None

    def _role(self, payload: dict[str, Any]) -> Role | UnsetType:
        claimed = _optional_text(payload, "role")
        return next((role for role in self._allowed_roles if role.value == claimed), UNSET)


def _reason(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token lacks the claim `{error.claim}`."
    return next((text for kind, text in REASONS if isinstance(error, kind)), "The token is malformed.")


def _text(payload: dict[str, Any], claim: str) -> str:
    value = payload.get(claim)
    if not isinstance(value, str):
        raise InvalidError(f"{claim}: Must be a string")
    return value


def _optional_text(payload: dict[str, Any], claim: str) -> str | None:
    """Null, blank and absent are the same here: identity providers send any of them for "unknown"."""
    if payload.get(claim) is None:
        return None
    return _text(payload, claim).strip() or None


def _account(payload: dict[str, Any]) -> str | UnsetType | None:
    """Null takes the person out of their account; an absent claim leaves them in it."""
    if "account" not in payload:
        return UNSET
    return (
        None if payload["account"] is None else clean_external_id(_text(payload, "account"), field="account")
    )


def _email(payload: dict[str, Any]) -> str | UnsetType | None:
    if "email" not in payload:
        return UNSET
    email = _optional_text(payload, "email")
    return None if email is None else clean_email(email)
