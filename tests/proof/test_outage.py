"""The database goes away under a running server and comes back: refusals that say so, and nothing lost.

A real `tridesk serve` with the worker inside, on a Postgres that is not its own: nobody restarts it but us.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.identity import Role
from app.identity import service as identity
from app.setup import bring_up_to_date
from tests.rag.library import until
from tests.tridesk import Tridesk

ANSWER_SECONDS = 20.0  # for a refusal: what waits for a connection waits 5 seconds for each


@dataclass
class Site:
    """The server, its database, and what it promised to have stored."""

    postgres: EmbeddedPostgres
    client: httpx.AsyncClient
    collection: str = ""
    promised: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    slowest: float = 0.0

    async def write(self, number: int) -> None:
        """A document, and with it a job."""
        began = time.monotonic()
        answer = await self.client.post(
            "/v1/rag/documents",
            json={
                "collection_id": self.collection,
                "content": f"# Page {number}\n\nSeats of plan {number} can be refunded within {number} days.",
                "source": f"{number}.md",
                "audience": "public",
            },
        )
        self.slowest = max(self.slowest, time.monotonic() - began)
        if answer.status_code == 202:
            self.promised.append(answer.json()["id"])
        else:
            assert answer.status_code == 503, answer.text
            self.refused.append(answer.json()["code"])

    async def status(self, path: str) -> int:
        return (await self.client.get(path)).status_code

    async def all_are_ready(self) -> bool:
        """Whether every promised document is there, with its job done."""
        for each in self.promised:
            answer = await self.client.get(f"/v1/rag/documents/{each}")
            if answer.status_code == 503 or answer.json().get("status") in {"queued", "running"}:
                return False
            assert answer.json()["status"] == "ready", answer.text
        return True


def link_models(folder: Path, models: Path) -> None:
    """A DATA_DIR of its own; only the local model is shared with other tests."""
    folder.mkdir()
    (folder / "models").symlink_to(models)


@asynccontextmanager
async def a_site(folder: Path, models: Path) -> AsyncIterator[Site]:
    link_models(folder, models)
    settings = Settings(data_dir=folder)
    postgres = EmbeddedPostgres(folder / "elsewhere")
    database = Database(settings, embedded=postgres)
    await database.start()
    await bring_up_to_date(settings, database)
    async with database.session() as session:
        _, key = await identity.create_key(session, name="outage", role=Role.admin)
    await database.engine.dispose()
    urls = {"DATABASE_URL": postgres.dsn("app"), "MIGRATION_DATABASE_URL": postgres.dsn("owner")}
    try:
        with Tridesk("serve", DATA_DIR=folder, **urls) as server:
            address = re.search(r"http://\S+", await asyncio.to_thread(server.wait_for, "ready at"))[0]
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=address, headers=headers, timeout=ANSWER_SECONDS) as client:
                site = Site(postgres, client)
                made = await client.post("/v1/rag/collections", json={"name": "outage"})
                assert made.status_code == 201, made.text
                site.collection = made.json()["id"]
                yield site
            assert await asyncio.to_thread(server.stop, signal.SIGTERM) == 0
    finally:
        await asyncio.to_thread(postgres.release)


async def without_database(
    site: Site, seconds: float, *, take: Callable[[], object], give: Callable[[], object]
):
    """Write before, during and after; look at the probes meanwhile."""
    for number in range(5):
        await site.write(number)
    await asyncio.to_thread(take)
    gone_at = time.monotonic()
    number = 5
    while time.monotonic() - gone_at < seconds:
        await site.write(number)
        assert await site.status("/health/live") == 200
        ready = await site.client.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "database_unavailable")
        assert ready.headers["retry-after"]
        number += 1
        await asyncio.sleep(0.05)
    assert set(site.refused) == {"database_unavailable"}
    assert len(site.refused) == number - 5
    await asyncio.to_thread(give)
    back_at = time.monotonic()

    async def is_ready() -> bool:
        return await site.status("/health/ready") == 200

    await until(is_ready, seconds=30)
    recovered = time.monotonic() - back_at
    await site.write(number)
    assert len(site.promised) == 6
    await until(site.all_are_ready, seconds=60)
    sys.stdout.write(
        f"{len(site.refused)} refused in {seconds:.0f} s, the slowest after {site.slowest:.1f} s;"
        f" ready {recovered:.1f} s after the return, jobs done after {time.monotonic() - back_at:.1f} s\n"
    )


async def test_a_stopped_database_is_a_503_and_nothing_is_lost(tmp_path, data_dir, rag):
    async with a_site(tmp_path / "site", data_dir / "models") as site:
        await without_database(site, 3, take=site.postgres.release, give=site.postgres.start)


@pytest.mark.proof
async def test_a_database_that_is_away_for_a_minute(tmp_path, data_dir, rag):
    async with a_site(tmp_path / "site", data_dir / "models") as site:
        await without_database(site, 60, take=site.postgres.release, give=site.postgres.start)


def processes_of_server(folder: Path) -> list[int]:
    """The postmaster and its children."""
    (file,) = folder.rglob("postmaster.pid")
    postmaster = int(file.read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


@pytest.mark.proof
async def test_a_database_that_takes_connections_and_answers_nothing(tmp_path, data_dir, rag):
    """As behind a network that drops packets: frozen, not gone."""
    async with a_site(tmp_path / "site", data_dir / "models") as site:
        frozen = processes_of_server(tmp_path / "site" / "elsewhere")

        def send(number: int) -> None:
            for each in frozen:
                with suppress(ProcessLookupError):  # thawed, a backend may have found its client gone
                    os.kill(each, number)

        try:
            await without_database(
                site, 20, take=lambda: send(signal.SIGSTOP), give=lambda: send(signal.SIGCONT)
            )
        finally:
            send(signal.SIGCONT)
