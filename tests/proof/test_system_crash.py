"""kill -9 of server, worker and Postgres at random points under load: what was promised is so, once.

The log of events is the truth. Whatever a client was promised is in it once; whatever is in it arrives at the
webhook at least once, first arrivals of a subject in its order, and at a reader of the log exactly once.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from app.identity import SYSTEM
from app.webhooks.service import endpoints
from tests.proof.claims import STATE, Run, assert_all_is_well
from tests.proof.system import VICTIMS, System, a_system
from tests.proof.traffic import Traffic
from tests.rag.library import until
from tests.tridesk import processes_of
from tests.webhooks.receiver import Message, receiving

TYPES = ["person.*", "account.*", "collection.*", "document.*"]
KILLS = 12
Killing = Callable[[Run, random.Random], Awaitable[None]]


async def crash(
    folder: Path,
    models: Path,
    *,
    seed: int,
    clients: int,
    worker_in_server: bool,
    killing: Killing,
    quiet_within: float,
) -> str:
    """One run with all its claims; its counts."""
    began = time.monotonic()
    async with a_system(folder, models, worker_in_server=worker_in_server) as (system, key):
        endpoint_secret: list[str] = []

        async def behave(message: Message) -> int:
            Webhook(endpoint_secret[0]).verify(message.body, message.headers)
            await asyncio.sleep(0.01)
            return 204

        headers = {"Authorization": f"Bearer {key}"}
        async with (
            receiving(behave) as receiver,
            httpx.AsyncClient(base_url=system.address, headers=headers, timeout=20) as client,
        ):
            endpoint_secret.append(await subscribe(system, receiver.url))
            run = Run(system, Traffic(client, random.Random(seed)), receiver)
            await under_load(run, random.Random(seed), clients=clients, killing=killing, within=quiet_within)
            counts = await assert_all_is_well(run)
            assert await system.stop() == [0, 0]
    assert processes_of(folder) == []
    return f"seed {seed}: {counts}; {time.monotonic() - began:.0f} s"


async def subscribe(system: System, url: str) -> str:
    """The secret of a new endpoint."""
    async with system.database.session() as session:
        endpoint = await endpoints.create(
            session,
            url=url,
            events=TYPES,
            description="",
            enabled=True,
            principal=SYSTEM,
            allow_private=True,
        )
        return endpoint.secret


async def under_load(
    run: Run,
    chance: random.Random,
    *,
    clients: int,
    killing: Killing,
    within: float,
) -> None:
    """Clients and killer at once; then quiet. A client or reader that fails, or never ends, ends all."""
    traffic = run.traffic

    async def kill() -> None:
        await killing(run, chance)
        traffic.stopping.set()

    async def work() -> None:
        await traffic.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(kill())
            for _ in range(clients):
                group.create_task(traffic.run())
        try:
            await until(run.is_quiet, seconds=within, every=0.1)
        except TimeoutError:
            raise AssertionError(f"not quiet after {within} s: {await run.rows(STATE)}") from None
        traffic.all_is_quiet.set()

    async with asyncio.timeout(4 * within), asyncio.TaskGroup() as group:
        group.create_task(traffic.follow())
        group.create_task(work())


async def test_killing_postgres_server_and_worker_under_load_loses_and_doubles_nothing(
    tmp_path: Path, data_dir: Path, rag: object
):
    async def killing(run: Run, chance: random.Random) -> None:
        await run.progress(15)
        await asyncio.sleep(chance.uniform(0, 0.3))
        await run.system.kill("cluster", chance)
        await run.progress(15)
        await asyncio.sleep(chance.uniform(0, 0.3))
        await run.system.kill("server", chance)
        await asyncio.sleep(chance.uniform(0, 0.3))
        await run.system.kill_worker_and_let_its_time_pass()
        await run.progress(20)

    counts = await crash(
        tmp_path / "data",
        data_dir / "models",
        seed=0,
        clients=3,
        worker_in_server=False,
        killing=killing,
        quiet_within=60,
    )
    sys.stdout.write(f"{counts}\n")


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(5))
async def test_kills_at_random_points(tmp_path: Path, data_dir: Path, rag: object, seed: int):
    """Leases and heartbeats run out by themselves; odd seeds have a second worker inside the server."""

    async def killing(run: Run, chance: random.Random) -> None:
        for _ in range(KILLS):
            if chance.random() < 0.6:
                await run.progress(chance.randrange(5, 40))
            await asyncio.sleep(chance.uniform(0, 3))  # in mid-start and mid-recovery, too
            await run.system.kill(chance.choice(VICTIMS), chance)
        await run.progress(20)

    counts = await crash(
        tmp_path / "data",
        data_dir / "models",
        seed=seed,
        clients=4,
        worker_in_server=bool(seed % 2),
        killing=killing,
        quiet_within=180,
    )
    sys.stdout.write(f"{counts}\n")
