"""What an admin sees of the queue, and may do about what failed."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.database import Database
from app.jobs import Worker, enqueue_all
from app.jobs.service import job_uuid
from tests.rag.library import until


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.jobs.execution.FIRST_RETRY", timedelta(milliseconds=1))
    monkeypatch.setattr("app.jobs.worker.POLL", timedelta(seconds=0.2))


@pytest.fixture
async def admin(as_role):
    async with as_role("admin") as client:
        yield client


async def put(database: Database, entrypoint: str, count: int = 1, **columns: str) -> list[int]:
    """Ids of new jobs, in whichever state."""
    async with database.session() as session:
        await enqueue_all(session, entrypoint, [{"n": n} for n in range(count)])
        for name, value in columns.items():
            await session.execute(
                text(f"update pgqueuer set {name} = {value} where entrypoint = :name"), {"name": entrypoint}
            )
        return list(
            await session.scalars(
                text("select id from pgqueuer where entrypoint = :name order by id"), {"name": entrypoint}
            )
        )


async def failed(database: Database, entrypoint: str) -> int:
    (job_id,) = await put(database, entrypoint, status="'failed'", attempts="5")
    return job_id


async def test_all_jobs_are_listed_newest_first_page_by_page(admin, database, unique):
    ids = await put(database, unique, 7)
    seen: list[int] = []
    cursor = None
    while True:
        parameters = {"entrypoint": unique, "limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get("/v1/jobs", params=parameters)).json()
        seen += [each["id"] for each in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
        await put(database, unique)  # a newer one does not disturb what follows
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    ("columns", "standing"),
    [
        ({}, ("queued", 0)),
        ({"execute_after": "now() + interval '1 hour'", "attempts": "2"}, ("scheduled", 2)),
        ({"status": "'picked'", "attempts": "2"}, ("running", 3)),
        ({"status": "'failed'", "attempts": "5"}, ("failed", 6)),
    ],
)
async def test_a_job_stands_where_its_row_says(admin, database, unique, columns, standing):
    (job_id,) = await put(database, unique, **columns)
    shown = (await admin.get(f"/v1/jobs/{job_id}")).json()
    assert (shown["status"], shown["attempts"]) == standing
    for each in ("queued", "scheduled", "running", "failed"):
        listed = (await admin.get("/v1/jobs", params={"entrypoint": unique, "status": each})).json()
        assert [job["id"] for job in listed["items"]] == ([job_id] if each == standing[0] else [])


async def test_filters_may_be_repeated(admin, database, unique):
    ids = await put(database, unique) + await put(database, f"{unique}-2")
    listed = await admin.get("/v1/jobs", params={"entrypoint": [unique, f"{unique}-2"], "status": "queued"})
    assert [each["id"] for each in listed.json()["items"]] == ids[::-1]


async def test_a_failed_job_shows_why_and_neither_texts_nor_stacks(admin, database, unique):
    subject = str(uuid4())

    async def handler(payload: bytes, attempts: int) -> None:
        async with database.session() as session:
            await session.execute(
                text("insert into job_schedule (name) select cast(:n as text) from generate_series(1, 2)"),
                {"n": json.loads(payload)["question"]},
            )

    async with database.session() as session:
        await enqueue_all(session, unique, [{"subject_id": subject, "version": 2, "question": "tdk_secret"}])
    worker = Worker(database, {unique: handler}, concurrency=1)
    worker.start()

    async def held() -> dict[str, object] | None:
        page = (await admin.get("/v1/jobs", params={"entrypoint": unique, "status": "failed"})).json()
        return page["items"][0] if page["items"] else None

    shown = await until(held)
    await worker.stop()
    assert shown["payload"] == {"subject_id": subject, "version": 2}
    assert shown["error"]["type"] == "UniqueViolationError"
    assert "pk_job_schedule" in shown["error"]["message"]
    assert "tdk_secret" not in json.dumps(shown)
    async with database.session() as session:
        kept = await session.scalars(
            text("select traceback::text from pgqueuer_log where entrypoint = :name"), {"name": unique}
        )
        kept = [each for each in kept if each]
    assert len(kept) == 6
    assert not any("tdk_secret" in each for each in kept)


async def test_a_retried_job_runs_at_once_with_all_of_its_attempts(admin, database, unique, monkeypatch):
    monkeypatch.setattr("app.jobs.worker.POLL", timedelta(seconds=60))
    job_id = await failed(database, unique)
    ran: list[int] = []
    before = asyncio.Event()

    async def handler(payload: bytes, attempts: int) -> None:
        ran.append(attempts)

    async def idle(payload: bytes, attempts: int) -> None:
        before.set()

    worker = Worker(database, {unique: handler, f"{unique}-2": idle}, concurrency=1)
    worker.start()
    await put(database, f"{unique}-2")
    await asyncio.wait_for(before.wait(), 10)
    await asyncio.sleep(0.3)  # it has gone to sleep
    answer = await admin.post(f"/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["status"], answer.json()["attempts"]) == (200, "queued", 0)

    async def gone() -> bool:
        return (await admin.get(f"/v1/jobs/{job_id}")).status_code == 404

    await until(gone)
    await worker.stop()
    assert ran == [0]


async def test_of_many_who_retry_at_once_one_does(admin, database, unique):
    job_id = await failed(database, unique)
    answers = await asyncio.gather(*(admin.post(f"/v1/jobs/{job_id}/retry") for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 7
    assert {each.json().get("code") for each in answers} == {None, "job_not_failed"}
    async with database.session() as session:
        logged = await session.scalar(
            text("select count(*) from pgqueuer_log where job_id = :id and status = 'queued'"), {"id": job_id}
        )
        assert logged == 2  # once by its making
        recorded = await events(session, job_id)
    assert recorded == [("job.retried", True, {"status": "queued", "job_id": job_id, "entrypoint": unique})]


async def events(session, job_id: int) -> list[tuple[str, bool, dict[str, object] | None]]:
    found = await session.execute(
        text("select type, audit, after from event where subject_type = 'job' and subject_id = :id"),
        {"id": job_uuid(job_id)},
    )
    return [tuple(each) for each in found]


async def test_a_discarded_job_is_gone_and_audited(admin, database, unique):
    job_id = await failed(database, unique)
    assert (await admin.delete(f"/v1/jobs/{job_id}")).status_code == 204
    assert (await admin.get(f"/v1/jobs/{job_id}")).status_code == 404
    assert (await admin.delete(f"/v1/jobs/{job_id}")).status_code == 404
    async with database.session() as session:
        assert await events(session, job_id) == [("job.discarded", True, None)]


@pytest.mark.parametrize("status", ["'queued'", "'picked'"])
async def test_one_that_has_not_failed_is_neither_retried_nor_discarded(admin, database, unique, status):
    (job_id,) = await put(database, unique, status=status)
    for answer in (await admin.post(f"/v1/jobs/{job_id}/retry"), await admin.delete(f"/v1/jobs/{job_id}")):
        assert (answer.status_code, answer.json()["code"]) == (409, "job_not_failed")
    assert (await admin.get(f"/v1/jobs/{job_id}")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/jobs/9007199254740991", 404),
        ("/v1/jobs/9007199254740992", 400),
        ("/v1/jobs/0", 400),
        ("/v1/jobs/one", 400),
        ("/v1/jobs?status=lost", 400),
        ("/v1/jobs?cursor=x", 400),
        ("/v1/jobs?limit=0", 400),
        ("/v1/jobs?sort=id", 400),
        (f"/v1/jobs?entrypoint={'x' * 101}", 400),
    ],
)
async def test_what_cannot_be_is_refused(admin, path, status):
    answer = await admin.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("role", ["customer", "agent", "lead"])
async def test_jobs_are_for_admins_only(as_role, database, unique, role):
    job_id = await failed(database, unique)
    by_id = 404 if role == "customer" else 403  # no id exists for a customer
    async with as_role(role) as client:
        for method, path, status in [
            ("GET", "/v1/jobs", 403),
            ("GET", f"/v1/jobs/{job_id}", by_id),
            ("POST", f"/v1/jobs/{job_id}/retry", by_id),
            ("DELETE", f"/v1/jobs/{job_id}", by_id),
            ("GET", "/metrics", 403),
        ]:
            assert (await client.request(method, path)).status_code == status


async def test_a_payload_that_is_not_ours_is_shown_as_nothing(admin, database, unique):
    (job_id,) = await put(database, unique, payload=r"'\xff'")
    assert (await admin.get(f"/v1/jobs/{job_id}")).json()["payload"] == {}
