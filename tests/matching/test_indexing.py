"""Things go in and out of the index with the transaction that changes them."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from app import matching
from app.events import Subject
from app.exceptions import ConflictError
from app.matching.constants import BATCH, EMBED_JOB
from app.matching.service import indexing
from tests.matching.conftest import NOW, titled

NOTHING = UUID("00000000-0000-7000-8000-000000000000")


async def jobs(session):
    return await session.scalar(
        text("select count(*) from pgqueuer where entrypoint = :name"), {"name": EMBED_JOB}
    )


async def test_a_thing_is_found_by_its_words_before_it_has_a_vector(shelf):
    other = await shelf.add("invoice total is wrong")
    new = await shelf.add("printer jams on page two", embed=False)
    found = await shelf.similar("printer jams")
    assert found[0].id == new.id
    assert (found[0].cosine, found[0].rank_dense) == (None, None)
    assert other.id in titled(found)


async def test_it_is_there_within_the_transaction_and_gone_after_a_rollback(shelf):
    async with shelf.database.session() as session:
        entry = shelf.entry("printer jams")
        before = await jobs(session)
        await matching.index_many(session, [entry])
        assert await jobs(session) == before + 1
        found = await shelf.matcher.similar(session, title="printer", types=[shelf.kind], audiences=["staff"])
        assert titled(found) == [entry.subject.id]
        await session.rollback()
    assert await shelf.similar("printer") == []
    async with shelf.database.session() as session:
        assert await jobs(session) == before


async def test_a_former_texts_vector_goes_in_the_commit_that_changes_the_text(shelf):
    subject = await shelf.add("printer jams", "on page two")
    assert set(await shelf.hashes(subject)) == {subject.id}
    async with shelf.database.session() as session:
        await matching.index(
            session, subject, title="invoice", body="is wrong", audience=["staff"], created_at=NOW
        )
    assert await shelf.hashes(subject) == {}
    assert await shelf.pending(subject) == {subject.id}
    assert not any(each.terms for each in await shelf.similar("printer jams"))
    assert titled(await shelf.similar("invoice")) == [subject.id]


async def test_the_same_text_again_embeds_nothing_and_writes_nothing(shelf):
    entry = shelf.entry("printer jams", "on page two", signatures=["E1"])
    await shelf.add_all([entry])
    asked = len(shelf.embeds.texts)
    where = text("select xmin::text from matchable where id = :id")
    async with shelf.database.session() as session:
        written = await session.scalar(where, {"id": entry.subject.id})
        before = await jobs(session)
        await matching.index_many(session, [entry])
        assert await jobs(session) == before
        assert await session.scalar(where, {"id": entry.subject.id}) == written
    await shelf.vectors.sweep()
    assert len(shelf.embeds.texts) == asked


async def test_a_change_of_audience_moves_words_and_vector_and_embeds_nothing(shelf):
    subject = await shelf.add("printer jams", audience=["staff"])
    assert await shelf.similar("printer", audiences=["account:a"]) == []
    async with shelf.database.session() as session:
        await matching.set_audience(session, subject, ["staff", "account:a"])
    (match,) = await shelf.similar("printer", audiences=["account:a"])
    assert match.rank_dense == match.rank_bm25 == 1
    assert await shelf.pending(subject) == set()
    async with shelf.database.session() as session:  # by indexing anew, likewise
        await matching.index(
            session, subject, title="printer jams", body="", audience=["staff"], created_at=NOW
        )
    assert await shelf.similar("printer", audiences=["account:a"]) == []
    (match,) = await shelf.similar("printer")
    assert match.rank_dense == 1
    async with shelf.database.session() as session:
        stored = text("select audience from matchable_embedding where matchable_id = :id")
        assert await session.scalar(stored, {"id": subject.id}) == ["staff"]


async def test_what_is_removed_leaves_no_text_vector_or_count_behind(shelf):
    subject = await shelf.add("quetzal jams", "on page two")
    waiting = await shelf.add("quetzal waits", embed=False)
    async with shelf.database.session() as session:
        assert await matching.remove(session, subject, waiting, Subject(shelf.kind, NOTHING)) == 2
        for table in ("matchable_embedding", "matchable_pending"):
            statement = text(f"select count(*) from {table} where matchable_id = any (:ids)")
            assert not await session.scalar(statement, {"ids": [subject.id, waiting.id]})
        df = text(
            "select coalesce(sum(df), 0) from (select df from matchable_lexeme where lexeme = 'quetzal'"
            " union all select df from matchable_lexeme_delta where lexeme = 'quetzal') s"
        )
        assert await session.scalar(df) == 0
    assert await shelf.similar("quetzal") == []


async def test_only_its_own_kind_is_removed_or_overwritten(shelf):
    subject = await shelf.add("printer jams")
    async with shelf.database.session() as session:
        assert await matching.remove(session, Subject("other", subject.id)) == 0
        await matching.set_audience(session, Subject("other", subject.id), ["public"])
    assert await shelf.similar("printer", audiences=["public"]) == []
    with pytest.raises(ConflictError):
        await shelf.add("overwritten", kind="other", id=subject.id)
    assert titled(await shelf.similar("printer")) == [subject.id]


async def test_many_come_in_with_a_few_jobs_and_of_one_id_the_last_counts(shelf):
    entries = [shelf.entry(f"printer {number}") for number in range(3 * BATCH)]
    last = shelf.entry("plotter", id=entries[0].subject.id)
    async with shelf.database.session() as session:
        before = await jobs(session)
        assert await matching.index_many(session, [*entries, last]) == 3 * BATCH
        assert await jobs(session) == before + 3
    assert titled(await shelf.similar("plotter", limit=1)) == [last.subject.id]


async def test_an_audience_without_bounds_is_refused(shelf):
    with pytest.raises(ValueError, match="51 tokens"):
        await shelf.add("x", audience=[str(each) for each in range(51)])


async def test_parallel_imports_of_the_same_things_agree(shelf):
    entries = [shelf.entry(f"thing {number}", "same for all") for number in range(40)]

    async def take_in(word):
        changed = [
            shelf.entry(word, each.body, id=each.subject.id)
            for each in sorted(entries, key=lambda e: e.subject.id)
        ]
        await shelf.add_all(changed, embed=False)

    await asyncio.gather(*(take_in(f"word{number}") for number in range(6)))
    await shelf.vectors.sweep()
    found = await shelf.similar(" ".join(f"word{number}" for number in range(6)), limit=200)
    assert len({each.terms for each in found}) == 1  # one import came last, for every thing
    assert all(each.rank_dense for each in found)


async def test_an_error_in_the_middle_stores_nothing_of_an_import(shelf, monkeypatch):
    monkeypatch.setattr(indexing, "STORE_SLICE", 10)
    taken = await shelf.add("printer")
    entries = [shelf.entry("toner") for _ in range(15)] + [shelf.entry("x", kind="other", id=taken.id)]
    with pytest.raises(ConflictError):
        await shelf.add_all(entries, embed=False)
    assert all(not each.terms for each in await shelf.similar("toner"))
