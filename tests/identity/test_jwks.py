"""The identity provider's key set, served over a real socket: rotation, outage, forgery."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from app.config import Settings
from app.identity.constants import JWKS_COOLDOWN, JWKS_MAX_AGE, JWKS_RETRY
from app.identity.jwks import KeySet
from app.identity.tokens import TokenVerifier
from tests.identity.conftest import bearer, build_app, client_of

ME = "/v1/identity/me"
KEYS = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def jwk(algorithm: str, key=None, **members) -> dict:
    public = (key or KEYS[algorithm]).public_key()
    return ALGORITHMS[algorithm].to_jwk(public, as_dict=True) | {"kid": algorithm, "use": "sig"} | members


class Provider:
    """An HTTP server that gives out a key set and can fail in several ways."""

    def __init__(self) -> None:
        self.keys: list = [jwk(algorithm) for algorithm in KEYS]
        self.status, self.body = 200, None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.drips = False
        self.paths: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        self.paths.append(request.split()[1].decode())
        self.asked.set()
        await self.gate.wait()
        body = self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() if self.drips else head.encode() + body)
        while self.drips and not writer.transport.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.1)  # the drip itself, not a wait for something
        writer.close()

    async def was_asked(self) -> None:
        async with asyncio.timeout(10):
            await self.asked.wait()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        async with await asyncio.start_server(self.answer, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
            self.gate.set()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A provider, a clock, and a client of an app that trusts both."""

    def __init__(self, provider: Provider, clock: Clock, client, url: str) -> None:
        self.provider, self.clock, self.client, self.url = provider, clock, client, url

    async def me(self, credential: str):
        return await self.client.get(ME, headers=bearer(credential))

    @property
    def fetches(self) -> int:
        return len(self.provider.paths)


@pytest.fixture(params=[10.0])
async def world(database, request) -> AsyncIterator[World]:
    """``request.param``: seconds that a fetch may take."""
    provider, clock = Provider(), Clock()
    async with provider.serve() as url:
        settings = Settings(jwt_jwks_url=url)
        tokens = TokenVerifier(settings, key_set=KeySet(url, timeout=request.param, clock=clock))
        async with client_of(build_app(database, settings, tokens=tokens)) as client:
            yield World(provider, clock, client, url)


def signed(token, algorithm: str = "RS256", *, key=None, kid: str | None = "same", **claims) -> str:
    kid = algorithm if kid == "same" else kid
    headers = {"kid": kid} if kid is not None else None
    return token(key or KEYS[algorithm], algorithm=algorithm, headers=headers, **claims)


def assert_invalid(response, reason: str = "") -> None:
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token"), response.text
    assert reason in response.json()["detail"]


def assert_unavailable(response) -> None:
    assert (response.status_code, response.json()["code"]) == (503, "identity_provider_unavailable")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("algorithm", KEYS)
async def test_each_allowed_algorithm_works_and_the_set_is_fetched_once(world, token, algorithm):
    for _ in range(3):
        assert (await world.me(signed(token, algorithm))).status_code == 200
    assert world.fetches == 1


async def test_parallel_first_requests_share_one_fetch(world, token):
    world.provider.gate.clear()
    requests = [asyncio.create_task(world.me(signed(token))) for _ in range(20)]
    await world.provider.was_asked()
    world.provider.gate.set()
    assert {response.status_code for response in await asyncio.gather(*requests)} == {200}
    assert world.fetches == 1


async def test_a_caller_that_leaves_does_not_take_the_fetch_from_the_others(world, token):
    world.provider.gate.clear()
    leaves, stays = (asyncio.create_task(world.me(signed(token))) for _ in range(2))
    await world.provider.was_asked()
    leaves.cancel()
    await asyncio.wait([leaves])
    world.provider.gate.set()
    assert (await stays).status_code == 200
    assert world.fetches == 1


async def test_an_unknown_kid_refetches_at_most_once_a_minute(world, token):
    await world.me(signed(token))
    for _ in range(5):
        assert_invalid(await world.me(signed(token, kid="rotated")), "no key")
    assert world.fetches == 1, "the set is fresh"
    world.clock.now += JWKS_COOLDOWN
    world.provider.keys.append(jwk("RS256", kid="rotated"))
    assert (await world.me(signed(token, kid="rotated"))).status_code == 200
    for _ in range(5):
        assert_invalid(await world.me(signed(token, kid="another")))
    assert world.fetches == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (302, b""),
        (200, b"not json"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": 7}'),
        (200, b'{"keys": [{"kty": "RSA", "n": "AQ", "e": ""}, {"kty": "oct", "k": "c2VjcmV0"}]}'),
        (200, json.dumps({"keys": [jwk("RS256")]}).encode() + b" " * 2**20),
    ],
)
async def test_a_key_set_that_cannot_be_read_is_503_until_it_can(world, token, status, body):
    world.provider.status, world.provider.body = status, body
    assert_unavailable(await world.me(signed(token)))
    world.provider.status, world.provider.body = 200, None
    assert_unavailable(await world.me(signed(token)))
    assert world.fetches == 1, "a failing provider is given a moment"
    world.clock.now += JWKS_RETRY
    assert (await world.me(signed(token))).status_code == 200


@pytest.mark.parametrize("world", [0.3], indirect=True)
async def test_a_provider_that_hangs_is_503_in_time(world, token):
    world.provider.gate.clear()
    async with asyncio.timeout(8):  # far below what the provider would take
        assert_unavailable(await world.me(signed(token)))


@pytest.mark.parametrize("world", [0.3], indirect=True)
async def test_a_provider_that_drips_is_503_in_time(world, token):
    """Each byte comes in time, the whole never would."""
    world.provider.body, world.provider.drips = b" " * 1000, True
    async with asyncio.timeout(8):  # far below what the provider would take
        assert_unavailable(await world.me(signed(token)))


async def test_nobody_listening_is_503(database, token):
    provider = Provider()
    async with provider.serve() as url:
        pass
    async with client_of(build_app(database, Settings(jwt_jwks_url=url))) as client:
        assert_unavailable(await client.get(ME, headers=bearer(signed(token))))


async def test_keys_at_hand_outlive_an_outage_and_unknown_ones_are_503(world, token):
    await world.me(signed(token))
    world.provider.status = 500
    world.clock.now += JWKS_MAX_AGE + 1
    assert (await world.me(signed(token))).status_code == 200
    assert_unavailable(await world.me(signed(token, kid="rotated")))
    assert (await world.me(signed(token))).status_code == 200


async def test_an_old_set_is_refreshed_behind_the_request_and_withdrawn_keys_stop(world, token):
    await world.me(signed(token))
    world.provider.keys = [jwk("ES256")]
    world.clock.now += JWKS_MAX_AGE + 1
    world.provider.asked.clear()
    world.provider.gate.clear()
    assert (await world.me(signed(token))).status_code == 200, "answered though the fetch hangs"
    await world.provider.was_asked()
    world.provider.gate.set()
    assert (await world.me(signed(token, "ES256", kid="unknown"))).status_code == 401  # waits for the fetch
    assert_invalid(await world.me(signed(token)), "no key")
    assert world.fetches == 2


async def test_a_token_without_kid_needs_the_one_key_of_its_algorithm(world, token):
    assert (await world.me(signed(token, kid=None))).status_code == 200
    world.provider.keys.append(jwk("RS256", kid="second"))
    world.clock.now += JWKS_COOLDOWN
    await world.me(signed(token, kid="second"))
    assert_invalid(await world.me(signed(token, kid=None)), "`kid`")


async def test_a_public_key_is_never_a_shared_secret(world, token, database):
    """The classic: sign with HS256 and the published key as the secret."""
    pem = (
        KEYS["RS256"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    forged = _hs256(pem, kid="RS256")
    assert_invalid(await world.me(forged), "`alg`")
    both = Settings(jwt_jwks_url=world.url, jwt_secret="a secret of the host app, quite long enough")
    async with client_of(build_app(database, both)) as client:
        assert_invalid(await client.get(ME, headers=bearer(forged)), "signature")
        assert (await client.get(ME, headers=bearer(signed(token)))).status_code == 200
        hs = token(both.jwt_secret)
        assert (await client.get(ME, headers=bearer(hs))).status_code == 200


def _hs256(secret: bytes, *, kid: str) -> str:
    """The library refuses to sign with a PEM, so by hand."""

    def segment(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    head = segment(json.dumps({"alg": "HS256", "kid": kid}).encode())
    payload = segment(json.dumps({"sub": "mallory", "exp": int(time.time()) + 60}).encode())
    signature = hmac.new(secret, head + b"." + payload, hashlib.sha256).digest()
    return b".".join([head, payload, segment(signature)]).decode()


async def test_another_key_under_a_known_kid_does_not_verify(world, token):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert_invalid(await world.me(signed(token, key=stranger)), "signature")


async def test_a_kid_of_another_algorithm_does_not_fit(world, token):
    assert_invalid(await world.me(signed(token, "ES256", kid="RS256")), "no key")


async def test_a_kid_becomes_no_path_url_or_statement(world, token):
    for kid in ("../../etc/passwd", "http://127.0.0.1:1/keys", "' or 1=1 --", "", "\0", "x" * 3000):
        assert_invalid(await world.me(signed(token, kid=kid)), "no key")
    assert set(world.provider.paths) == {"/keys"}


async def test_addresses_in_the_header_are_not_followed(world, token):
    headers = {"kid": "RS256", "jku": "http://127.0.0.1:1/evil", "x5u": "http://127.0.0.1:1/evil"}
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    response = await world.me(token(stranger, algorithm="RS256", headers=headers))
    assert_invalid(response, "signature")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_shared_secrets_encryption_keys_and_weak_keys_of_the_set_are_not_used(world, token):
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    world.provider.keys = [
        jwk("ES256"),
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "shared"},
        jwk("RS256", use="enc", kid="for encryption"),
        jwk("RS256", key=weak, kid="weak"),
        {"kid": "no type"},
    ]
    assert (await world.me(signed(token, "ES256"))).status_code == 200
    assert_invalid(await world.me(signed(token, kid="for encryption")), "no key")
    assert_invalid(await world.me(_hs256(b"secretsecretsecretsecret", kid="shared")), "`alg`")
    assert_invalid(await world.me(signed(token, key=weak, kid="weak")), "weak")
