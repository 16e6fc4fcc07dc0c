"""A worker keeps its services running, whatever they do, and ends them when it stops."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from app.exceptions import DatabaseUnavailableError
from app.jobs import Worker, enqueue

Run = Callable[[asyncio.Event], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    run: Run
    name: str = "tried"


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.jobs.services.FIRST_RESTART", 0.02)


async def test_a_service_runs_beside_the_jobs_and_returns_when_the_worker_stops(database, unique):
    began, ran = asyncio.Event(), asyncio.Event()
    ended: list[bool] = []

    async def run(stopping: asyncio.Event) -> None:
        began.set()
        await stopping.wait()
        ended.append(True)

    async def handler(payload: bytes, attempts: int) -> None:
        ran.set()

    worker = Worker(database, {unique: handler}, concurrency=1, services=[Service(run)])
    worker.start()
    async with database.session() as session:
        await enqueue(session, unique, {})
    await asyncio.wait_for(asyncio.gather(began.wait(), ran.wait()), 10)
    assert ended == []
    await worker.stop()
    assert ended == [True]


async def until_it_ran(database, times: int, run: Run) -> None:
    """A worker whose service runs so often."""
    enough = asyncio.Event()
    calls: list[None] = []

    async def counted(stopping: asyncio.Event) -> None:
        calls.append(None)
        if len(calls) >= times:
            enough.set()
            await stopping.wait()
        else:
            await run(stopping)

    worker = Worker(database, {}, concurrency=1, services=[Service(counted)])
    worker.start()
    try:
        await asyncio.wait_for(enough.wait(), 10)
    finally:
        await worker.stop()


async def test_one_that_raises_is_logged_with_its_stack_and_restarted_later_each_time(database, caplog):
    moments: list[float] = []

    async def run(stopping: asyncio.Event) -> None:
        moments.append(time.monotonic())
        raise ValueError("broken")

    await until_it_ran(database, 4, run)
    first, second, third = moments
    assert second - first >= 0.02
    assert third - second >= 0.04
    logged = [each for each in caplog.records if each.name == "app.jobs.services"]
    assert len(logged) == 3
    assert all(each.levelno == logging.ERROR and each.exc_info for each in logged)
    assert "tried" in logged[0].getMessage()


async def test_a_database_that_is_away_is_one_line_without_a_stack(database, caplog):
    async def run(stopping: asyncio.Event) -> None:
        raise DatabaseUnavailableError("away")

    await until_it_ran(database, 2, run)
    (logged,) = [each for each in caplog.records if each.name == "app.jobs.services"]
    assert (logged.levelno, logged.exc_info) == (logging.WARNING, None)


async def test_one_that_ends_by_itself_is_started_again(database, caplog):
    async def run(stopping: asyncio.Event) -> None:
        return

    await until_it_ran(database, 3, run)
    assert "ended by itself" in caplog.text


async def test_one_that_does_not_stop_is_cut_off(database, monkeypatch):
    monkeypatch.setattr("app.jobs.services.STOP_SECONDS", 0.05)
    began = asyncio.Event()
    cut: list[bool] = []

    async def run(stopping: asyncio.Event) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.append(True)
            raise

    worker = Worker(database, {}, concurrency=1, services=[Service(run)])
    worker.start()
    await asyncio.wait_for(began.wait(), 10)
    await asyncio.wait_for(worker.stop(), 10)
    assert cut == [True]
