"""The text of API keys: ``tdk_<prefix>_<secret>``.

The prefix is public and finds the key; the secret is 256 random bits. What is stored is the plain SHA-256
of the whole text: slow hashes protect secrets that people choose, and nobody can guess 256 random bits,
while every request has to hash once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string

from app.identity.constants import KEY_PREFIX_LENGTH, KEY_SCHEME, KEY_SECRET_LENGTH

# Letters and digits only: a double click selects the whole key, and no shell or URL changes it.
ALPHABET = string.ascii_letters + string.digits
KEY = re.compile(rf"{KEY_SCHEME}_([0-9A-Za-z]{{{KEY_PREFIX_LENGTH}}})_[0-9A-Za-z]{{{KEY_SECRET_LENGTH}}}")


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def generate_key() -> str:
    """The text of a new key."""
    return f"{KEY_SCHEME}_{_random(KEY_PREFIX_LENGTH)}_{_random(KEY_SECRET_LENGTH)}"


def key_prefix(key: str) -> str | None:
    """The 8 characters that find a key; None when the text cannot be one."""
    match = KEY.fullmatch(key)
    return match[1] if match else None


def hash_key(key: str) -> bytes:
    """32 bytes: SHA-256 of the text."""
    return hashlib.sha256(key.encode("ascii")).digest()


def key_matches(key: str, secret_hash: bytes) -> bool:
    """Whether the text is the key that was hashed, in time that does not depend on where they differ."""
    return hmac.compare_digest(hash_key(key), secret_hash)
