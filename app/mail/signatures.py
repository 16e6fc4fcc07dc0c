"""Signatures of mail that comes in, in the form of Standard Webhooks.

``webhook-signature: v1,<base64>`` is HMAC-SHA256 over ``id.timestamp.body``; several, with blanks between,
while secrets change. See https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Sequence

from app.mail.constants import SIGNATURE_TOLERANCE, SIGNATURES_MAX
from app.mail.exceptions import InvalidSignatureError

TIMESTAMP = re.compile(r"[0-9]{1,12}")
PREFIX = "whsec_"


def sign(secret: str, *, identity: str, timestamp: int, body: bytes) -> str:
    """One signature, ``v1,…``, by a ``whsec_`` secret."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    message = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()


def verify(
    secrets: Sequence[str],
    *,
    identity: str,
    timestamp: str,
    signatures: str,
    body: bytes,
    now: float | None = None,
) -> None:
    """``InvalidSignatureError`` unless a signature is by one of the secrets and of these minutes."""
    check_headers(identity=identity, timestamp=timestamp, signatures=signatures, now=now)
    given = [each.encode() for each in signatures.split(" ", SIGNATURES_MAX)[:SIGNATURES_MAX]]
    right = [sign(each, identity=identity, timestamp=int(timestamp), body=body).encode() for each in secrets]
    if not any([hmac.compare_digest(one, other) for one in given for other in right]):  # noqa: C419 - all are compared
        raise InvalidSignatureError("No signature fits the body.")


def check_headers(*, identity: str, timestamp: str, signatures: str, now: float | None = None) -> None:
    """``InvalidSignatureError`` for what no body could make good: headers that are missing or out of time."""
    if not identity or not signatures.strip() or not TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignatureError(
            "Send webhook-id, webhook-timestamp (Unix seconds) and webhook-signature."
        )
    if abs((time.time() if now is None else now) - int(timestamp)) > SIGNATURE_TOLERANCE:
        raise InvalidSignatureError("The signature is older than five minutes, or from the future.")
