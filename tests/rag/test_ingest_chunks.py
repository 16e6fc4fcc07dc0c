"""From an upload to chunks and vectors: what a version embeds, keeps and removes."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text, update

from app.database import Database
from app.rag.constants import DocumentStatus
from app.rag.models import Document
from app.rag.registry import register_model
from app.rag.service import documents
from tests.rag.library import CountingEmbedder, Library


def handbook(*paragraphs: str) -> str:
    """Each paragraph under a heading of its own, long enough to stay a chunk of its own."""
    return "\n\n".join(
        f"# Chapter {number}\n\n" + " ".join([paragraph] * 36) for number, paragraph in enumerate(paragraphs)
    )


FIRST = handbook("Invoices are sent monthly.", "Refunds take fourteen days.", "Seats can be added freely.")


async def test_a_new_document_is_queued_running_and_ready(library: Library):
    document = await library.put(FIRST, source="a.md")
    assert (document.status, document.progress, document.served_version) == (DocumentStatus.QUEUED, 0, None)
    assert await library.jobs(document.id) == ["queued"]
    seen: list[tuple[str, float]] = []

    async def look() -> None:
        now = await library.read(document.id)
        seen.append((now.status, now.progress))

    library.embedder.before = look
    report = await library.ingest(document)
    assert seen == [(DocumentStatus.RUNNING, 0)]
    ready = await library.read(document.id)
    assert (ready.status, ready.progress, ready.served_version) == (DocumentStatus.READY, 1, 1)
    chunks = await library.chunks(document.id)
    assert report is not None
    assert (report.embedded, report.kept, report.removed) == (len(chunks), 0, 0)
    stored = await library.version(document.id, 1)
    assert (stored.chunks_embedded, stored.chunks_kept, stored.chunks_removed) == (len(chunks), 0, 0)
    assert len(await library.vectors(document.id)) == len(chunks) >= 3


async def test_every_chunk_is_its_span_of_the_stored_text(library: Library, database: Database):
    document = await library.add(FIRST)
    async with database.session() as session:
        rows = await session.execute(
            text(
                "select c.text, substr(v.text, c.span_start + 1, c.span_end - c.span_start) as span"
                " from chunk c join document_version v"
                " on v.document_id = c.document_id and v.number = c.version"
                " where c.document_id = :id"
            ),
            {"id": document.id},
        )
        assert all(row.text == row.span for row in rows.all())


async def test_progress_is_reported_between_slices(library: Library, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.rag.ingest.EMBED_SLICE", 1)
    monkeypatch.setattr("app.rag.ingest.PROGRESS_INTERVAL", -1.0)
    document = await library.put(FIRST)
    seen: list[float] = []

    async def look() -> None:
        seen.append((await library.read(document.id)).progress)

    library.embedder.before = look
    await library.ingest(document)
    assert seen == sorted(seen)
    assert 0 < seen[-1] < 1


async def test_the_same_source_unchanged_changes_nothing(library: Library):
    document = await library.add(FIRST, source="a.md", title="Handbook")
    library.embedder.texts.clear()
    again = await library.put(FIRST, source="a.md", title="Handbook")
    assert (again.id, again.latest_version, again.updated_at) == (document.id, 1, document.updated_at)
    assert again.status == DocumentStatus.READY
    assert await library.jobs(document.id) == ["queued"]  # the first one's; nobody ran the queue here
    assert await library.ingest(again) is None
    assert library.embedder.texts == []


async def test_only_a_changed_passage_is_embedded_and_the_others_keep_ids_and_vectors(library: Library):
    document = await library.add(FIRST, source="a.md")
    before = {each.text: each.id for each in await library.chunks(document.id)}
    vectors = {key: str(each.embedding) for key, each in (await library.vectors(document.id)).items()}
    library.embedder.texts.clear()
    changed = handbook(
        "Invoices are sent monthly.", "Refunds take thirty days.", "Seats can be added freely."
    )
    document = await library.put(changed, source="a.md")
    assert (document.latest_version, document.served_version) == (2, 1)
    report = await library.ingest(document)
    assert report is not None
    assert (report.embedded, report.kept, report.removed) == (1, len(before) - 1, 1)
    assert len(library.embedder.texts) == 1
    assert "thirty" in library.embedder.texts[0]
    after = {each.text: each for each in await library.chunks(document.id)}
    kept = before.keys() & after.keys()
    assert len(kept) == len(before) - 1
    assert all(after[each].id == before[each] and after[each].version == 2 for each in kept)
    new_vectors = {key: str(each.embedding) for key, each in (await library.vectors(document.id)).items()}
    assert all(vectors[key] == new_vectors[key] for key in vectors.keys() & new_vectors.keys())
    assert len(new_vectors) == len(after)


async def test_an_old_version_stays_readable(library: Library, as_role):
    document = await library.add(FIRST, source="a.md")
    await library.add(handbook("Entirely new."), source="a.md")
    async with as_role("customer") as client:
        old = await client.get(f"/v1/rag/documents/{document.id}/text", params={"version": 1})
        new = await client.get(f"/v1/rag/documents/{document.id}/text")
        missing = await client.get(f"/v1/rag/documents/{document.id}/text", params={"version": 3})
        for absurd in (0, -1, 2**31, 2**63, 10**30):
            answer = await client.get(f"/v1/rag/documents/{document.id}/text", params={"version": absurd})
            assert answer.status_code in {400, 404}, absurd
    assert "fourteen days" in old.json()["text"]
    assert (old.json()["version"], new.json()["version"]) == (1, 2)
    assert "fourteen days" not in new.json()["text"]
    assert (missing.status_code, missing.json()["code"]) == (404, "document_not_found")


async def test_a_passage_that_stands_several_times_is_stored_each_time(library: Library):
    same = handbook("The same words.").replace("# Chapter 0\n\n", "")
    document = await library.add(f"# A\n\n{same}\n\n# A\n\n{same}\n\n# A\n\n{same}", source="a.md")
    chunks = await library.chunks(document.id)
    assert len(chunks) == 3
    assert len({each.hash for each in chunks}) == 1
    assert len(library.embedder.texts) == 1
    assert len(await library.vectors(document.id)) == 3
    report = await library.ingest(await library.put(f"# A\n\n{same}\n\n# A\n\n{same}", source="a.md"))
    assert report is not None
    assert (report.embedded, report.kept, report.removed) == (0, 2, 1)
    report = await library.ingest(await library.put("\n\n".join([f"# A\n\n{same}"] * 4), source="a.md"))
    assert report is not None
    assert (report.kept, report.removed) == (2, 0)
    assert len(await library.chunks(document.id)) == len(await library.vectors(document.id)) == 4


async def test_moved_passages_keep_their_ids_and_take_their_new_places(library: Library):
    document = await library.add(FIRST, source="a.md", title="Handbook")
    before = {each.hash: each.id for each in await library.chunks(document.id)}
    sections = FIRST.split("# ")
    swapped = "# ".join([sections[0], sections[3] + "\n\n", sections[1], sections[2]])
    report = await library.ingest(await library.put(swapped, source="a.md", title="Handbook"))
    assert report is not None
    assert (report.embedded, report.removed) == (0, 0)
    chunks = await library.chunks(document.id)
    assert [each.ordinal for each in chunks] == list(range(len(chunks)))
    assert {each.hash: each.id for each in chunks} == before
    assert [each.hash for each in chunks] != list(before)
    starts = [each.span_start for each in chunks]
    assert starts == sorted(starts)


async def test_a_version_that_comes_during_ingestion_is_the_only_one_stored(library: Library):
    document = await library.put(FIRST, source="a.md")
    newer: list[Document] = []

    async def replace() -> None:
        library.embedder.before = None
        newer.append(await library.put(handbook("Newest."), source="a.md"))

    library.embedder.before = replace
    assert await library.ingest(document) is None
    assert await library.chunks(document.id) == []
    waiting = await library.read(document.id)
    assert (waiting.status, waiting.latest_version, waiting.served_version) == (
        DocumentStatus.QUEUED,
        2,
        None,
    )
    assert await library.ingest(newer[0]) is not None
    assert {each.version for each in await library.chunks(document.id)} == {2}
    assert await library.ingest(document) is None  # the old job, once more
    assert (await library.read(document.id)).served_version == 2


async def test_an_old_job_never_marks_a_newer_version(library: Library):
    """A failing old version leaves status and error of the newer one alone."""
    document = await library.put(FIRST, source="a.md")

    async def replace_then_fail() -> None:
        library.embedder.before = None
        await library.put(handbook("Newest."), source="a.md")
        raise RuntimeError

    library.embedder.before = replace_then_fail
    await library.ingestor.handle(b'{"document_id":"%b","version":1}' % str(document.id).encode(), attempts=5)
    now = await library.read(document.id)
    assert (now.status, now.error_code, now.served_version) == (DocumentStatus.QUEUED, None, None)


async def test_a_document_deleted_during_ingestion_leaves_nothing(
    library: Library, database: Database, as_role
):
    document = await library.put(FIRST, source="a.md")

    async def remove() -> None:
        async with as_role("agent") as client:
            assert (await client.delete(f"/v1/rag/documents/{document.id}")).status_code == 204

    library.embedder.before = remove
    assert await library.ingest(document) is None
    async with database.session() as session:
        for table in ("chunk", "document_version"):
            count = text(f"select count(*) from {table} where document_id = :id")
            assert await session.scalar(count, {"id": document.id}) == 0


async def test_two_runs_of_one_job_at_once_store_once(library: Library):
    """As after a worker that was cut off and lives on."""
    document = await library.put(FIRST, source="a.md")
    gate = asyncio.Barrier(2)
    library.embedder.before = gate.wait  # type: ignore[assignment]  # its number does not matter
    reports = await asyncio.gather(library.ingest(document), library.ingest(document))
    assert sum(report is not None for report in reports) == 1
    chunks = await library.chunks(document.id)
    assert len(chunks) == len({each.ordinal for each in chunks}) == len(await library.vectors(document.id))


async def test_a_change_of_model_embeds_everything_and_keeps_the_old_vectors(
    library: Library, database: Database, unique: str
):
    document = await library.add(FIRST, source="a.md")
    ids = [each.id for each in await library.chunks(document.id)]
    old = set(await library.vectors(document.id))
    model_id = await _other_model(database, f"other-{unique}")
    embedder = CountingEmbedder(model=f"other-{unique}", dimensions=16)
    ingestor = library.ingestor
    other = type(ingestor)(
        database=database,
        embedder=embedder,
        model_id=model_id,
        plan=ingestor._plan,
        pool=ingestor._pool,
        parse_timeout=30,
    )
    async with database.session() as session:
        assert await documents.requeue_all(session, model=f"other-{unique}") >= 1
    assert await library.jobs(document.id) == ["queued", "queued"]
    report = await other.ingest(document.id, 1)
    assert report is not None
    assert (report.embedded, report.kept, report.removed) == (len(ids), len(ids), 0)
    assert [each.id for each in await library.chunks(document.id)] == ids
    vectors = await library.vectors(document.id)
    assert set(vectors) == old | {(each, model_id) for each in ids}


async def test_registering_a_model_again_says_whether_documents_lack_its_vectors(
    library: Library, database: Database, unique: str
):
    """Also on a return to the old model, and after a crash between registering and queueing."""
    await library.add(FIRST, source="a.md")
    name = f"other-{unique}"
    await _other_model(database, name)
    owner = _owner(database)
    async with owner.begin() as connection:
        assert await register_model(connection, name=name, dimensions=16) is True
    async with database.session() as session:
        await session.execute(text("delete from document"))
    async with owner.begin() as connection:
        assert await register_model(connection, name=name, dimensions=16) is False
    await owner.dispose()


async def test_statuses_other_than_waiting_are_not_ingested(library: Library, database: Database):
    document = await library.put(FIRST)
    async with database.session() as session:
        await session.execute(update(Document).where(Document.id == document.id).values(status="failed"))
    assert await library.ingest(document) is None


def _owner(database: Database):
    from app.database import create_engine

    return create_engine(database.dsn("owner"))


async def _other_model(database: Database, name: str) -> int:
    owner = _owner(database)
    async with owner.begin() as connection:
        await register_model(connection, name=name, dimensions=16)
        found = await connection.scalar(
            text("select id from embedding_model where name = :name"), {"name": name}
        )
    await owner.dispose()
    assert isinstance(found, int)
    return found
