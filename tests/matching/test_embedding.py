"""Vectors are made in batches, once, and of the text that is there."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from app import matching
from app.database import create_engine
from app.exceptions import UnavailableError, UnprocessableError
from app.jobs import Worker
from app.main import make_worker
from app.matching import EMBED_JOB, Vectors
from app.matching.constants import BATCH, LEASE_SECONDS
from app.matching.registry import prepare_vectors
from app.rag.embedding_port import EmbeddingPort
from tests.matching.conftest import NOW, BagOfWords


async def test_a_job_takes_one_batch_and_leaves_a_job_for_the_rest(shelf):
    subjects = await shelf.add_all([shelf.entry(f"thing {n}") for n in range(BATCH + 6)], embed=False)
    async with shelf.database.session() as session:
        await session.execute(text("delete from pgqueuer where entrypoint = :name"), {"name": EMBED_JOB})
    await shelf.vectors.handle(b"{}", 0)
    assert len(await shelf.hashes(*subjects)) == BATCH
    async with shelf.database.session() as session:
        queued = text("select count(*) from pgqueuer where entrypoint = :name")
        assert await session.scalar(queued, {"name": EMBED_JOB}) == 1
    await shelf.vectors.handle(b"{}", 0)
    assert len(await shelf.hashes(*subjects)) == BATCH + 6
    assert await shelf.pending(*subjects) == set()
    async with shelf.database.session() as session:
        assert await session.scalar(queued, {"name": EMBED_JOB}) == 1  # the last batch was not full


async def test_two_workers_never_embed_the_same_thing(shelf):
    subjects = await shelf.add_all([shelf.entry(f"thing {n}") for n in range(4 * BATCH)], embed=False)
    await asyncio.gather(*(shelf.vectors.embed_batch() for _ in range(4)))
    assert len(shelf.embeds.texts) == len(subjects) == len(await shelf.hashes(*subjects))


async def test_a_text_that_changes_while_it_is_embedded_gets_the_vector_of_the_new_one(shelf):
    subject = await shelf.add("printer jams", embed=False)

    async def change() -> None:
        shelf.embeds.before = None
        async with shelf.database.session() as session:
            await matching.index(
                session, subject, title="invoice is wrong", body="", audience=["staff"], created_at=NOW
            )

    shelf.embeds.before = change
    assert await shelf.vectors.embed_batch() == 1
    assert await shelf.hashes(subject) == {}
    assert await shelf.pending(subject) == {subject.id}
    assert await shelf.vectors.embed_batch() == 1
    (match,) = await shelf.similar("invoice is wrong")
    assert match.cosine == pytest.approx(1, abs=1e-3)


async def test_a_thing_that_is_removed_while_it_is_embedded_leaves_nothing(shelf):
    subject = await shelf.add("printer jams", embed=False)

    async def take_out() -> None:
        async with shelf.database.session() as session:
            await matching.remove(session, subject)

    shelf.embeds.before = take_out
    await shelf.vectors.embed_batch()
    assert await shelf.hashes(subject) == {}


async def test_an_open_change_is_waited_for_and_its_text_not_given_the_old_vector(shelf):
    subject = await shelf.add("printer jams", embed=False)
    stored = asyncio.Event()

    async def change_and_commit_later() -> None:
        shelf.embeds.before = None
        opened = asyncio.Event()

        async def change() -> None:
            async with shelf.database.session() as session:
                await matching.index(
                    session, subject, title="invoice", body="", audience=["staff"], created_at=NOW
                )
                opened.set()
                await waiting(shelf.database, "for share")
            stored.set()

        changes.append(asyncio.create_task(change()))
        await opened.wait()

    changes: list[asyncio.Task[None]] = []
    shelf.embeds.before = change_and_commit_later
    await shelf.vectors.embed_batch()
    await asyncio.gather(*changes)
    assert stored.is_set()
    assert await shelf.hashes(subject) == {}
    assert await shelf.pending(subject) == {subject.id}


async def waiting(database, statement: str) -> None:
    """Until another connection waits for a lock in a statement with these words."""
    async with asyncio.timeout(10):
        while True:
            async with database.session() as session:
                found = await session.scalar(
                    text(
                        "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                        " and query like '%' || :words || '%' and pid <> pg_backend_pid()"
                    ),
                    {"words": statement},
                )
            if found:
                return
            await asyncio.sleep(0.02)


async def test_what_cannot_be_embedded_does_not_hold_up_the_others(shelf):
    shelf.embeds.failure = lambda each: UnprocessableError() if "poison" in each else None
    bad, good = await shelf.add_all([shelf.entry("poison"), shelf.entry("printer")])
    assert set(await shelf.hashes(bad, good)) == {good.id}
    assert await shelf.pending(bad, good) == set()
    shelf.embeds.failure = lambda _: None
    assert bad.id in {each.id for each in await shelf.similar("poison")}


async def test_a_text_of_boilerplate_alone_is_not_waited_for(shelf):
    subject = await shelf.add("", "Steps to reproduce:")
    assert await shelf.pending(subject) == set()
    assert await shelf.similar("", "Actual results:") == []


async def test_while_the_model_is_away_things_wait_and_the_sweep_finds_them(shelf):
    subject = await shelf.add("printer jams", embed=False)
    shelf.embeds.failure = lambda _: UnavailableError()
    await shelf.vectors.handle(b"{}", 0)  # not a job's fault: it is not kept as failed
    with pytest.raises(UnavailableError):
        await shelf.vectors.sweep()
    assert await shelf.pending(subject) == {subject.id}
    shelf.embeds.failure = lambda _: None
    assert await shelf.vectors.sweep() == 1
    assert set(await shelf.hashes(subject)) == {subject.id}


async def test_a_batch_of_a_worker_that_died_is_another_ones_after_the_lease(shelf):
    subject = await shelf.add("printer jams", embed=False)
    claim = (
        "update matchable_pending set claimed_at = now() - make_interval(secs => :ago)"
        " where matchable_id = :id"
    )
    for ago, taken in ((LEASE_SECONDS - 10, 0), (LEASE_SECONDS + 1, 1)):
        async with shelf.database.session() as session:
            await session.execute(text(claim), {"id": subject.id, "ago": ago})
        assert await shelf.vectors.embed_batch() == taken


async def test_a_new_model_gets_an_index_and_everything_is_embedded_again(shelf, database, unique):
    subjects = await shelf.add_all([shelf.entry(f"thing {n}") for n in range(5)])
    owner = create_engine(database.dsn("owner"))
    try:
        async with owner.begin() as connection:
            model = await connection.scalar(
                text("insert into embedding_model (name, dimensions) values (:name, 8) returning id"),
                {"name": unique},
            )
            assert await prepare_vectors(connection, model=unique) >= 5
            assert await connection.scalar(
                text("select to_regclass(:name) is not null"),
                {"name": f"ix_matchable_embedding_model_{model}"},
            )
        small = BagOfWords(model, 8)
        await Vectors(database, small).sweep()
        async with database.session() as session:
            both = text("select count(*) from matchable_embedding where matchable_id = any (:ids)")
            assert await session.scalar(both, {"ids": [each.id for each in subjects]}) == 10
        shelf.embeds = small
        assert (await shelf.similar("thing 3"))[0].cosine == pytest.approx(1, abs=1e-2)
        async with owner.begin() as connection:
            assert await prepare_vectors(connection, model=unique) == 0
    finally:
        async with owner.begin() as connection:
            await connection.execute(
                text("delete from matchable_embedding where model_id = :id"), {"id": model}
            )
            await connection.execute(text(f"drop index ix_matchable_embedding_model_{int(model)}"))
            await connection.execute(text("delete from embedding_model where id = :id"), {"id": model})
        await owner.dispose()


async def test_the_worker_embeds_what_was_indexed(shelf, settings, database, rag):
    subject = await shelf.add("The printer jams", "Paper is stuck on page two.", embed=False)
    worker = make_worker(settings, database, rag)
    assert isinstance(worker, Worker)
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(20):
            while not await shelf.hashes(subject):  # noqa: ASYNC110 - a worker sets no event
                await asyncio.sleep(0.05)
    finally:
        await worker.stop()
        await task


async def test_the_real_model_cuts_what_is_longer_than_its_window(rag):
    port = rag.embeds
    assert isinstance(port, EmbeddingPort)
    long = "the printer jams on page two " * 500
    short, cut, query = [*await port.embed(["printer", long]), await port.embed_query(long)]
    assert len(short) == len(cut) == len(query) == port.dimensions
    assert sum(a * b for a, b in zip(cut, query, strict=True)) > 0.999
