"""The signature of Stripe's events: ``t=<unix seconds>,v1=<hex>,…``, HMAC-SHA256 over ``t.body``."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from app.billing.exceptions import ProviderSignatureError

TOLERANCE = 300  # seconds, both ways: what is older may be a recording
HEADER_MAX = 4096
SIGNATURE = re.compile(r"[0-9a-f]{64}")


def verify(secrets: Sequence[str], header: str, body: bytes, *, now: float) -> None:
    """``ProviderSignatureError`` unless one of the signatures was made with one of the secrets, lately."""
    timestamp, signatures = parse(header)
    if abs(now - timestamp) > TOLERANCE:
        raise ProviderSignatureError("The signature is too old, or from the future.")
    signed = f"{timestamp}.".encode() + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    # Every pair is compared, so that the time taken tells nothing.
    matches = [hmac.compare_digest(one, other) for one in expected for other in signatures]
    if not any(matches):
        raise ProviderSignatureError("None of the signatures is right.")


def parse(header: str) -> tuple[int, list[str]]:
    """The moment and the ``v1`` signatures; other schemes are passed over. ``ProviderSignatureError``."""
    if len(header) > HEADER_MAX:
        raise ProviderSignatureError("Stripe-Signature is too long.")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and SIGNATURE.fullmatch(value)]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]) or not signatures:
        raise ProviderSignatureError("Stripe-Signature is missing or malformed.")
    return int(times[0]), signatures
