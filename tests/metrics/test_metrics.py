"""Monitoring reads what happened, in its own words, and never an address or a text of anybody's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from sqlalchemy import text

from app.jobs import Worker, enqueue_all
from app.main import create_app
from app.metrics import Metrics
from tests.rag.library import until

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def admin(as_role):
    async with as_role("admin") as client:
        yield client


async def read(client: httpx.AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return samples(answer.text)


def samples(text: str, parse=plain) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


async def test_it_is_text_0_0_4_or_openmetrics_as_asked(admin):
    answer = await admin.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert samples(answer.text)
    answer = await admin.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert samples(answer.text, openmetrics)


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/v1/jobs/987654321", "/v1/jobs/{job_id}", "404"),
        ("GET", "/v1/jobs?limit=0", "/v1/jobs", "400"),
        ("GET", "/hostile/987654321", "unmatched", "404"),
        ("BREW", "/health/live", "unmatched", "405"),
        ("DELETE", "/health/live", "unmatched", "405"),
    ],
)
async def test_a_request_is_counted_by_its_route_and_nothing_of_its_address(
    admin, method, path, route, status
):
    labels = {"method": "OTHER" if method == "BREW" else method, "route": route, "status": status}
    before = await read(admin)
    await admin.request(method, path)
    after = await read(admin)
    counted = value(after, "tridesk_http_requests_total", **labels)
    assert counted - value(before, "tridesk_http_requests_total", **labels) == 1
    del labels["status"]
    timed = "tridesk_http_request_duration_seconds_count"
    assert value(after, timed, **labels) - value(before, timed, **labels) == 1
    assert not any("987654321" in label for _, labels in after for _, label in labels)


async def test_a_request_without_a_key_and_one_by_head_are_counted_at_their_routes(admin, client):
    before = await read(admin)
    await client.get("/v1/jobs")
    await admin.head("/v1/jobs")
    after = await read(admin)
    for status in ("401", "200"):
        labels = {"method": "GET", "route": "/v1/jobs", "status": status}
        name = "tridesk_http_requests_total"
        assert value(after, name, **labels) - value(before, name, **labels) == 1


async def test_an_answer_that_breaks_off_is_a_500():
    from app.metrics.middleware import RequestCounter

    async def broken(scope, receive, send):
        raise ConnectionResetError

    metrics = Metrics()
    with pytest.raises(ConnectionResetError):
        await RequestCounter(broken, metrics)({"type": "http", "method": "GET"}, None, None)
    counted = metrics.registry.get_sample_value(
        "tridesk_http_requests_total", {"method": "GET", "route": "unmatched", "status": "500"}
    )
    assert counted == 1


async def test_two_apps_share_no_figure(settings, database):
    first, second = (create_app(settings, database=database) for _ in range(2))
    first.state.metrics.observe_request("GET", "/", 200, 0.1)
    labels = {"method": "GET", "route": "/", "status": "200"}
    assert first.state.metrics.registry.get_sample_value("tridesk_http_requests_total", labels) == 1
    assert second.state.metrics.registry.get_sample_value("tridesk_http_requests_total", labels) is None


async def test_jobs_are_counted_by_where_they_stand_and_how_they_ended(admin, database, unique, monkeypatch):
    monkeypatch.setattr("app.jobs.execution.FIRST_RETRY", timedelta(milliseconds=1))
    monkeypatch.setattr("app.jobs.worker.POLL", timedelta(seconds=0.2))
    metrics = Metrics()
    release = asyncio.Event()

    async def handler(payload: bytes, attempts: int) -> None:
        if payload == b'"fail"':
            raise ValueError
        if payload == b'"wait"':
            await release.wait()

    async with database.session() as session:
        await enqueue_all(session, unique, ["fail", "wait", "well", "well", "well"])
    worker = Worker(database, {unique: handler}, concurrency=4, observe=metrics.observe_job)
    worker.start()

    async def at_rest() -> Samples | None:
        seen = await read(admin)
        standing = [
            value(seen, "tridesk_jobs", entrypoint=unique, status=each) for each in ("failed", "running")
        ]
        well = value(seen, "tridesk_jobs_ended_total", entrypoint=unique, outcome="successful")
        return seen if standing == [1, 1] and well == 3 else None

    seen = await until(at_rest)
    assert value(seen, "tridesk_jobs_ended_total", entrypoint=unique, outcome="failed") == 1
    release.set()
    await worker.stop()
    for outcome, times in [("successful", 4), ("retried", 5), ("failed", 1)]:
        labels = {"entrypoint": unique, "outcome": outcome}
        assert metrics.registry.get_sample_value("tridesk_job_duration_seconds_count", labels) == times


async def test_the_age_is_of_the_oldest_that_could_run(admin, database, unique):
    async with database.session() as session:
        await enqueue_all(session, unique, [1, 2, 3])
        await session.execute(
            text("""
                update pgqueuer set created = now() - interval '1 hour', execute_after = case
                    when payload = '1' then now() + interval '1 hour' else now() - interval '100 seconds' end
                where entrypoint = :name and payload <> '3'
            """),
            {"name": unique},
        )
    seen = await read(admin)
    assert 100 <= value(seen, "tridesk_jobs_oldest_queued_seconds", entrypoint=unique) < 200
    assert value(seen, "tridesk_jobs", entrypoint=unique, status="scheduled") == 1
    assert value(seen, "tridesk_jobs", entrypoint=unique, status="queued") == 2


async def test_schedules_and_connections_are_shown(admin, database, unique):
    async with database.session() as session:
        await session.execute(
            text(
                "insert into job_schedule (name, started_at, failures) values (:name, to_timestamp(1000), 3)"
            ),
            {"name": unique},
        )
    seen = await read(admin)
    assert value(seen, "tridesk_schedule_last_start_timestamp_seconds", schedule=unique) == 1000
    assert value(seen, "tridesk_schedule_failures", schedule=unique) == 3
    assert value(seen, "tridesk_database_connections", state="in_use") >= 1
    assert value(seen, "tridesk_database_connections", state="limit") == 20
