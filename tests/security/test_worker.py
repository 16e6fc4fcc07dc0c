"""`tridesk worker` and a Postgres that is away, comes back, goes again or dies while the worker starts."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from app.embedded.places import Places
from tests.test_database import Relay
from tests.tridesk import SECONDS, Tridesk


@pytest.fixture
def folder(tmp_path: Path, data_dir: Path, rag: object) -> Path:
    """A DATA_DIR of the worker's; the local model is the run's."""
    (tmp_path / "models").symlink_to(data_dir / "models")
    return tmp_path


async def test_a_postgres_that_is_away_is_waited_for_in_single_lines_without_the_password(database, folder):
    """First there is none; then it comes; then it goes while jobs are waited for. Nothing prints a stack."""
    place = parse_qs(urlsplit(database.dsn("app")).query)
    relay = Relay(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}")
    await relay.mend()  # a port that is free
    await relay.cut()
    user = database.dsn("app").split("//")[1].split("@")[0]
    url = f"postgresql://{user}:hush@127.0.0.1:{relay.port}/tridesk"
    with Tridesk("worker", DATA_DIR=folder, DATABASE_URL=url) as worker:
        await asyncio.to_thread(worker.wait_for, "waiting for the database")
        await asyncio.sleep(2.5)  # another vain attempt, which is not worth a line
        await relay.mend()
        await asyncio.to_thread(worker.wait_for, "Worker is running")
        await relay.cut()
        await asyncio.to_thread(worker.wait_for, "job worker cannot reach the queue")
        await relay.mend()
        assert await asyncio.to_thread(worker.stop, signal.SIGTERM) == 0
    await relay.cut()
    assert sum("waiting for the database" in line for line in worker.lines) == 1
    assert "Traceback" not in worker.output
    assert "hush" not in worker.output


def test_a_postgres_killed_while_the_worker_starts_is_back_before_it_runs(folder):
    """The embedded one, by kill -9 as soon as it takes connections: it is then being migrated."""
    pid_file = Places.of(folder).cluster / "postmaster.pid"
    deadline = time.monotonic() + SECONDS
    with Tridesk("worker", DATA_DIR=folder) as worker:
        while not (pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        worker.wait_for("Worker is running")
        assert worker.stop(signal.SIGTERM) == 0
    assert "Traceback" not in worker.output
