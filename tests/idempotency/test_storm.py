"""Many at once, any mixture, and servers killed in the middle: one effect a key."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.identity import Role
from app.identity import service as identity
from tests.idempotency.conftest import keyed

ROOT = Path(__file__).parent.parent.parent
REPLAYED = "idempotency-replayed"
ENOUGH = 120  # seconds


@pytest.mark.parametrize("path", ["/test/orders", "/test/answers"])
async def test_two_hundred_equal_requests_at_once_take_effect_once(agent, effects, mark, path):
    headers = keyed()
    responses = await asyncio.gather(
        *(agent.post(path, json={"mark": mark}, headers=headers) for _ in range(200))
    )
    first = [each for each in responses if each.is_success and REPLAYED not in each.headers]
    replays = [each for each in responses if each.headers.get(REPLAYED) == "true"]
    waiting = [each for each in responses if each.status_code == 409]
    assert (len(first), len(first + replays + waiting)) == (1, 200), Counter(
        each.status_code for each in responses
    )
    assert {each.content for each in replays} <= {first[0].content}
    assert {each.json()["code"] for each in waiting} <= {"idempotency_key_in_flight"}
    assert await effects(mark) == 1


MOVES = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from("xy"), st.booleans(), st.sampled_from(["orders", "slow"])
    ),
    min_size=1,
    max_size=12,
)


@example_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(moves=MOVES)
async def test_any_sequence_of_requests_behaves_like_a_dictionary_of_answers(agent, effects, moves):
    """The rule, in its simplest form: (route, key) → (request, answer), filled by successes only."""
    run, kept, done = uuid4(), {}, Counter()
    for key, body, fails, route in moves:
        content = {"mark": f"{run}{body}", "fail": fails and route == "orders"}
        response = await agent.post(f"/test/{route}", json=content, headers=keyed(f"{run}{key}"))
        known = kept.get((route, key))
        if known is None:
            assert response.status_code == (422 if content["fail"] else 201)
            assert REPLAYED not in response.headers
            if not content["fail"]:
                kept[route, key] = (content, response.content)
                done[body] += 1
        elif known[0] == content:
            assert (response.content, response.headers[REPLAYED]) == (known[1], "true")
        else:
            assert response.json()["code"] == "idempotency_key_reused"
    assert {body: await effects(f"{run}{body}") for body in "xy"} == {body: done[body] for body in "xy"}


@dataclass
class Server:
    """A real server process on the run's database, on a port that stays, killed as often as wished."""

    dsn: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    kills: int = 0
    log: list[str] = field(default_factory=list)

    async def start(self) -> None:
        self.process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-W", "ignore", "-m", "tests.idempotency.server", str(self.port)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": self.dsn, "DATA_DIR": str(self.folder)},
            stdout=subprocess.PIPE,
        )
        line = await asyncio.to_thread(self.process.stdout.readline)
        self.port = int(line)

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.process.wait)
        self.process.stdout.close()
        self.kills += 1


async def insist(client: httpx.AsyncClient, name: str) -> httpx.Response:
    """Repeat a request, as a client that lost its answer does, until it succeeds."""
    while True:
        try:
            response = await client.post("/v1/identity/people", json={"name": name}, headers=keyed(name))
        except httpx.TransportError:
            await asyncio.sleep(0.02)
            continue
        if response.is_success:
            return response
        assert response.status_code in (409, 503), response.text
        await asyncio.sleep(0.02)


async def storm(database, folder: Path, *, seed: int, kills: int, requests: int) -> None:
    """``requests`` of which each is repeated until it succeeds, twice; the server is killed in between."""
    chance = random.Random(seed)
    run = str(uuid4())
    async with database.session() as session:
        _, secret = await identity.create_key(session, name=run, role=Role.agent)
    server = Server(database.dsn(), folder)
    await server.start()
    names = [f"{run} {number}" for number in range(requests)]

    async def client_of(share: list[str]) -> None:
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers) as client:
            for name in share:
                first, again = await insist(client, name), await insist(client, name)
                assert (again.content, again.headers.get(REPLAYED)) == (first.content, "true")

    clients = [asyncio.create_task(client_of(names[start::8])) for start in range(8)]
    try:
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.02, 0.5))
            await server.kill()
            await server.start()
        async with asyncio.timeout(ENOUGH):
            await asyncio.gather(*clients)
    finally:
        for client in clients:
            client.cancel()
        await server.kill()
    async with database.session() as session:
        found = await session.execute(
            text("select name, count(*) from person where name like :run group by name"), {"run": f"{run}%"}
        )
        assert {row.name: row.count for row in found} == dict.fromkeys(names, 1), f"seed {seed}"


async def test_a_server_killed_at_any_moment_leaves_one_effect_a_key(database, tmp_path):
    await storm(database, tmp_path, seed=20261122, kills=1, requests=160)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(5))
async def test_a_server_killed_at_any_moment_leaves_one_effect_a_key_at_full_size(database, tmp_path, seed):
    await storm(database, tmp_path, seed=seed, kills=12, requests=2400)
