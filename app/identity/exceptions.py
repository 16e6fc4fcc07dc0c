"""What identity refuses, each with a stable ``code``."""

from __future__ import annotations

from app.exceptions import ConflictError, NotAuthenticatedError, UnavailableError, UnprocessableError


class InvalidKeyError(NotAuthenticatedError):
    """Not an API key of this server. Says the same whether the prefix or the secret is wrong."""

    code = "invalid_key"
    title = "Invalid API key"


class KeyExpiredError(NotAuthenticatedError):
    """The key was right but its time is over."""

    code = "key_expired"
    title = "API key expired"


class KeyRevokedError(NotAuthenticatedError):
    """The key was right but somebody revoked it."""

    code = "key_revoked"
    title = "API key revoked"


class InvalidTokenError(NotAuthenticatedError):
    """The host app's token does not hold; ``detail`` names the first reason, never a value of the token."""

    code = "invalid_token"
    title = "Invalid token"


class PersonDeactivatedError(NotAuthenticatedError):
    """The credential is right but its person was deactivated."""

    code = "person_deactivated"
    title = "Person deactivated"


class IdentityProviderUnavailableError(UnavailableError):
    """The identity provider's key set cannot be read, and no key kept from before fits the token."""

    code = "identity_provider_unavailable"
    title = "Identity provider unavailable"


class AccountExistsError(ConflictError):
    """An account has this external id already; ``id`` is its."""

    code = "account_exists"
    title = "Account exists"


class PersonExistsError(ConflictError):
    """A person has this external id already; ``id`` is theirs."""

    code = "person_exists"
    title = "Person exists"


class PersonErasedError(ConflictError):
    """The person was erased; nothing about them is stored again, under their external id neither."""

    code = "person_erased"
    title = "Person erased"


class UnknownAccountError(UnprocessableError):
    """The account that the body names does not exist."""

    code = "unknown_account"
    title = "Unknown account"


class UnknownPersonError(UnprocessableError):
    """The person that the body names does not exist."""

    code = "unknown_person"
    title = "Unknown person"


class InvalidKeyRequestError(UnprocessableError):
    """A key like this would be useless or unsafe: a customer's of nobody, a role too high, a bad expiry."""

    code = "invalid_key_request"
    title = "Invalid key request"
