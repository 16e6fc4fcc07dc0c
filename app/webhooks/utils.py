"""Pure rules: which events a filter means, signatures, secrets, URLs, when to try again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from app.webhooks.addresses import is_public, literal_address
from app.webhooks.constants import JITTER, LONGEST_RETRY_AFTER, SECRET_BYTES, SECRET_PREFIX
from app.webhooks.exceptions import WebhookURLError

HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
VISIBLE = re.compile(r"[\x21-\x7e]+")


def matches(filters: Iterable[str], event_type: str) -> bool:
    """Whether any filter means the type: ``*`` all, ``ticket.*`` all below, ``ticket.created`` itself."""
    return any(
        each in ("*", event_type) or (each.endswith(".*") and event_type.startswith(each[:-1]))
        for each in filters
    )


def new_secret() -> str:
    """A signing secret in the form of Standard Webhooks: ``whsec_`` and base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(signing_secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` header: one signature a secret, separated by spaces.

    HMAC-SHA256 over ``id.timestamp.body`` (Standard Webhooks, "Signature scheme"); seconds since 1970.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(each), signed, hashlib.sha256)).decode()
        for each in signing_secrets
    )


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


def clean_url(url: str, *, allow_private: bool) -> str:
    """The URL, if events may be sent there; ``WebhookURLError`` says what is wrong with it.

    A name may still lead to a private address: that is looked at before every attempt.
    """
    if not VISIBLE.fullmatch(url):
        raise WebhookURLError("must be written in visible ASCII characters: an international name as xn--")
    if "#" in url or "\\" in url:
        raise WebhookURLError("must have no fragment and no backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise WebhookURLError("has a malformed host or port") from None
    if parts.scheme not in {"http", "https"}:
        raise WebhookURLError("must start with https:// or http://")
    if "@" in parts.netloc:
        raise WebhookURLError("must not hold a user or a password")
    if port == 0 or parts.netloc.endswith(":"):
        raise WebhookURLError("has a malformed host or port")
    _check_host(parts, host, allow_private=allow_private)
    return url


def _check_host(parts: SplitResult, host: str, *, allow_private: bool) -> None:
    address = literal_address(host)
    if address is not None:
        if not allow_private and not is_public(address):
            raise WebhookURLError("leads to an address that is not public")
        return
    labels = host.removesuffix(".").split(".")
    if "[" in parts.netloc or len(host) > 253 or not all(map(HOST_LABEL.fullmatch, labels)):
        raise WebhookURLError("has a malformed host or port")


def origin_of(url: str) -> str:
    """What may be told of a URL in events and logs: its path and query are often a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def retry_after(value: str | None) -> timedelta:
    """How long a ``Retry-After`` header asks to wait, a day at most; nothing if it says nothing sensible.

    Seconds or an HTTP date: RFC 9110, section 10.2.3.
    """
    if value is None:
        return timedelta(0)
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return min(timedelta(seconds=int(value)), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return timedelta(0)
    wait = date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def pause(failures: int, retries: Sequence[timedelta], asked: timedelta) -> timedelta | None:
    """How long to wait after so many failures in a row; None when that was the last retry."""
    if failures > len(retries):
        return None
    planned = retries[failures - 1] * random.uniform(1, 1 + JITTER)  # noqa: S311 - no secret
    return max(planned, asked)
