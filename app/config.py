"""One frozen ``Settings``, read once from the environment; ``.env.example`` documents every key."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.exceptions import ConfigurationError

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
MASK = "********"


def _boolean(value: str) -> bool:
    if value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    raise ValueError("must be true or false")


def _natural(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _port(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 65_535:
        raise ValueError("must be a port between 0 and 65535")
    return number


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 < number < 86_400:
        raise ValueError("must be a positive number of seconds")
    return number


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _one_of(*allowed: str) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value

    return convert


def _log_level(value: str) -> str:
    return _one_of("DEBUG", "INFO", "WARNING", "ERROR")(value.upper())


def _database_url(value: str) -> str:
    """Any libpq-style URL; the driver part is ours to choose."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("must start with postgresql://")
    try:
        urlsplit(value).port  # noqa: B018 - reading it checks it
    except ValueError:  # its own words quote what may be a part of the password
        raise ValueError("host or port is malformed; write / @ : of a password as %2F %40 %3A") from None
    return f"postgresql://{rest}"


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value.rstrip("/")


def _mailbox(value: str) -> str:
    """``support@example.com``. Our own address leaves room for the token that marks a reply."""
    local, _, domain = value.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,20}", local) or not re.fullmatch(r"[A-Za-z0-9.-]{1,180}", domain):
        raise ValueError("must look like support@example.com, with at most 20 characters before the @")
    return value


def _token_secret(value: str) -> str:
    if len(value.encode()) < 24:
        raise ValueError("must have at least 24 bytes")
    return value


def _signing_secrets(value: str) -> tuple[str, ...]:
    """Standard Webhooks secrets, ``whsec_`` and base64, several while they are being changed."""
    secrets = _words(value)
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not secret.startswith("whsec_") or len(key) < 24:
            raise ValueError("must be whsec_ and the base64 of at least 24 bytes") from None
    return secrets


def _stripe_secrets(value: str) -> tuple[str, ...]:
    """Signing secrets of a Stripe endpoint, several while they are being changed."""
    secrets = _words(value)
    if not all(secret.startswith("whsec_") and len(secret) > 20 for secret in secrets):
        raise ValueError("must be the endpoint's signing secret: whsec_…")
    return secrets


def _setting(default: Any, convert: Callable[[str], Any] = str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"convert": convert, "secret": secret})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting, by the name of its environment variable in lower case; .env.example says what for.

    An empty variable counts as unset. A malformed one raises ``ConfigurationError`` that names it.
    """

    host: str = _setting("127.0.0.1")
    port: int = _setting(8000, _port)
    data_dir: Path = _setting(Path("data"), Path)  # noqa: RUF009 - a path is a value
    database_url: str | None = _setting(None, _database_url, secret=True)
    migration_database_url: str | None = _setting(None, _database_url, secret=True)
    listen_database_url: str | None = _setting(None, _database_url, secret=True)
    database_pool_size: int = _setting(10, _natural)
    worker_in_server: bool = _setting(True, _boolean)  # noqa: FBT003 - the setting's default
    worker_concurrency: int = _setting(4, _natural)
    sample_company: bool | None = _setting(None, _boolean)

    log_level: str = _setting("INFO", _log_level)
    log_format: str = _setting("auto", _one_of("auto", "json", "text"))

    jwt_secret: str | None = _setting(None, secret=True)
    jwt_jwks_url: str | None = _setting(None, _http_url)
    jwt_issuer: str | None = _setting(None)
    jwt_audience: str | None = _setting(None)
    jwt_roles: tuple[str, ...] = _setting(("customer",), _words)

    openai_base_url: str | None = _setting(None, _http_url)
    openai_api_key: str | None = _setting(None, secret=True)
    openai_timeout: float = _setting(60.0, _seconds)
    chat_model: str | None = _setting(None)
    chat_context_tokens: int = _setting(8192, _natural)
    embedding_model: str | None = _setting(None)
    embedding_dimensions: int | None = _setting(None, _natural)
    embedding_window: int = _setting(8191, _natural)
    embedding_concurrency: int = _setting(4, _natural)

    upload_max_bytes: int = _setting(50 * 2**20, _natural)
    body_max_bytes: int = _setting(2**20, _natural)
    parse_timeout: float = _setting(120.0, _seconds)
    attachment_max_bytes: int = _setting(25 * 2**20, _natural)
    rate_limit_per_minute: int = _setting(6000, _natural)

    ticket_reopen_days: int = _setting(14, _natural)
    ticket_close_days: int = _setting(14, _natural)
    import_max_bytes: int = _setting(100 * 2**20, _natural)

    billing_address: str | None = _setting(None, _mailbox)
    billing_provider: str | None = _setting(None, _one_of("stripe", "sandbox", "none"))
    stripe_api_key: str | None = _setting(None, secret=True)
    stripe_api_url: str = _setting("https://api.stripe.com", _http_url)
    stripe_webhook_secret: tuple[str, ...] | None = _setting(None, _stripe_secrets, secret=True)
    provider_timeout: float = _setting(20.0, _seconds)

    webhook_allow_private: bool = _setting(False, _boolean)  # noqa: FBT003 - the setting's default

    smtp_host: str | None = _setting(None)
    smtp_port: int = _setting(587, _port)
    smtp_tls: str = _setting("starttls", _one_of("starttls", "tls", "none"))
    smtp_user: str | None = _setting(None)
    smtp_password: str | None = _setting(None, secret=True)
    mail_from: str | None = _setting(None, _mailbox)
    mail_reply_to: str | None = _setting(None, _mailbox)
    mail_token_secret: str | None = _setting(None, _token_secret, secret=True)
    public_url: str | None = _setting(None, _http_url)
    inbound_mail_secret: tuple[str, ...] | None = _setting(None, _signing_secrets, secret=True)
    mail_max_bytes: int = _setting(25 * 2**20, _natural)

    def __post_init__(self) -> None:
        if self.chat_model and not (self.openai_base_url or self.openai_api_key):
            raise ConfigurationError("CHAT_MODEL needs OPENAI_BASE_URL or OPENAI_API_KEY")
        if self.embedding_model and not (self.openai_base_url or self.openai_api_key):
            raise ConfigurationError("EMBEDDING_MODEL needs OPENAI_BASE_URL or OPENAI_API_KEY")
        if self.billing_provider == "stripe" and not self.stripe_api_key:
            raise ConfigurationError("BILLING_PROVIDER=stripe needs STRIPE_API_KEY")
        if self.smtp_host:
            for name in ("mail_from", "mail_token_secret", "public_url"):
                if not getattr(self, name):
                    raise ConfigurationError(f"SMTP_HOST needs {name.upper()}")
        if self.jwt_secret and len(self.jwt_secret.encode()) < 32:
            raise ConfigurationError("JWT_SECRET must have at least 32 bytes")
        if unknown := set(self.jwt_roles) - {"customer", "agent", "lead", "admin"}:
            raise ConfigurationError(f"JWT_ROLES knows customer, agent, lead and admin, not {min(unknown)}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Read and check the environment; keyword arguments win over it."""
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for each in fields(cls):
            raw = environment.get(each.name.upper(), "")
            if raw == "":
                continue
            try:
                values[each.name] = each.metadata["convert"](raw)
            except ValueError as error:
                shown = MASK if each.metadata["secret"] else repr(raw)
                raise ConfigurationError(f"{each.name.upper()}={shown}: {error}") from None
        return cls(**values | {key: value for key, value in overrides.items() if value is not None})

    def describe(self) -> dict[str, str]:
        """Each setting as text, secrets masked; for `tridesk doctor`."""
        return {
            each.name.upper(): MASK
            if each.metadata["secret"] and getattr(self, each.name)
            else str(getattr(self, each.name) if getattr(self, each.name) is not None else "")
            for each in fields(self)
        }
