"""The key set of the host app's identity provider: fetched, kept, and refreshed by one request for all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import httpx
import jwt
import msgspec

from app.identity.constants import (
    JWKS_ALGORITHMS,
    JWKS_COOLDOWN,
    JWKS_MAX_AGE,
    JWKS_MAX_BYTES,
    JWKS_RETRY,
    JWKS_TIMEOUT,
)
from app.identity.exceptions import IdentityProviderUnavailableError, InvalidTokenError

logger = logging.getLogger(__name__)


class KeySet:
    """Public keys by id. PyJWT's own client blocks the event loop, hence this one.

    ``kid`` only ever looks a key up in memory: it becomes no path, no URL and no SQL.
    """

    def __init__(
        self, url: str, *, timeout: float = JWKS_TIMEOUT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._clock = clock
        self._keys: list[jwt.PyJWK] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """The key for a token's header.

        Errors: ``InvalidTokenError`` when the provider has no such key, ``IdentityProviderUnavailableError``
        when that cannot be known because its key set cannot be read.
        """
        key = self._lookup(kid, algorithm)
        if key is not None:
            if self._age() > JWKS_MAX_AGE and self._may_fetch():
                self._fetch_once()  # nobody waits for it: the key at hand is good
            return key
        if self._fetching is not None or self._may_fetch():
            await asyncio.shield(self._fetch_once())
            key = self._lookup(kid, algorithm)
        if key is not None:
            return key
        if self._fetched_at is None or self._fetched_at != self._tried_at:
            raise IdentityProviderUnavailableError(
                "The identity provider's key set cannot be read; try again.", retry_after=int(JWKS_RETRY)
            )
        raise InvalidTokenError(
            "The identity provider has no key for this token: check its `kid` and `alg`."
            if kid is not None
            else "The token names no key (`kid`) and the identity provider has not exactly one for its `alg`."
        )

    def _lookup(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if key.algorithm_name == algorithm]
        if kid is None:
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.key_id == kid), None)

    def _age(self) -> float:
        return self._clock() - self._fetched_at if self._fetched_at is not None else float("inf")

    def _may_fetch(self) -> bool:
        wait = JWKS_COOLDOWN if self._keys else JWKS_RETRY
        return self._tried_at is None or self._clock() - self._tried_at >= wait

    def _fetch_once(self) -> asyncio.Task[None]:
        """The fetch under way, or a new one. A caller that goes away does not take it from the others."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetch_done)
        return self._fetching

    def _fetch_done(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        """Replace the keys; on any failure keep the old ones."""
        self._tried_at = started = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                keys = _usable_keys(await self._download())
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, jwt.PyJWTError) as error:
            logger.warning("key set of the identity provider not read: %s", type(error).__name__)
            return
        self._keys, self._fetched_at = keys, started

    async def _download(self) -> bytes:
        body = bytearray()
        trusted = await asyncio.to_thread(httpx.create_ssl_context)  # reads a few hundred certificates
        async with (
            httpx.AsyncClient(timeout=self._timeout, verify=trusted) as client,
            client.stream("GET", self._url, headers={"Accept": "application/json"}) as response,
        ):
            response.raise_for_status()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > JWKS_MAX_BYTES:
                    raise ValueError("key set too large")
        return bytes(body)


class _Document(msgspec.Struct):
    keys: list[dict[str, object]]


def _usable_keys(document: bytes) -> list[jwt.PyJWK]:
    """The signing keys of a JWKS (RFC 7517), without shared secrets, encryption keys and unknown kinds."""
    key_set = jwt.PyJWKSet(msgspec.json.decode(document, type=_Document).keys)
    keys = [
        key
        for key in key_set
        if key.algorithm_name in JWKS_ALGORITHMS and key.public_key_use in {None, "sig"}
    ]
    if not keys:
        raise ValueError("no usable key")
    return keys
