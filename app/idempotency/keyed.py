"""What a request with a key is, apart from HTTP: whose it is, where it goes, and what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from app.identity.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """One request with an ``Idempotency-Key``.

    ``route``: method and path template, ``POST /v1/rag/chats/{chat_id}/messages``: the same key at another
    chat is a mistake and is told so, since the fingerprint holds the whole path. ``fingerprint``: SHA-256.
    """

    principal: Principal
    route: str
    key: str
    fingerprint: bytes
    returns_secret: bool = False

    @property
    def principal_id(self) -> UUID:
        """The person, whatever key or token they use; a key that acts for nobody is itself.

        A token that was renewed or a key that was replaced between two attempts changes nothing.
        """
        identity = self.principal.person_id or self.principal.key_id
        if identity is None:
            raise TypeError("the system sends no requests")
        return identity

    @property
    def lock(self) -> int:
        """Number of the advisory lock, a signed 64-bit integer."""
        scope = digest(part.encode() for part in (str(self.principal_id), self.route, self.key))
        return int.from_bytes(scope[:8], signed=True)


def digest(parts: Iterable[bytes]) -> bytes:
    """SHA-256 of a sequence of byte strings, each with its length: no two sequences run together."""
    running = hashlib.sha256()
    for part in parts:
        running.update(len(part).to_bytes(8))
        running.update(part)
    return running.digest()
