"""Uploads: what is refused, what is the same document, and what happens when many come at once."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from sqlalchemy import text

from app.database import Database
from app.exceptions import InvalidError, UnprocessableError
from app.jobs import LAST_ATTEMPT, Worker
from app.rag.constants import INGEST_JOB, DocumentStatus
from app.rag.embeddings.remote import OpenAIEmbedder
from app.rag.ingest import Ingestor
from app.rag.registry import register_model
from app.rag.service import collections
from tests.openai_server import Failure, OpenAIServer
from tests.rag.library import Library, assert_statistics_exact, until


async def stored(library: Library) -> int:
    async with library.database.session() as session:
        found = await session.scalar(
            text("select count(*) from document where collection_id = :id"), {"id": library.collection_id}
        )
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"content": ""}, 400, "validation_error"),
        ({"content": " \n\t "}, 422, "file_empty"),
        ({"content": "text", "media_type": "application/zip"}, 422, "unsupported_media_type"),
        ({"content": "text", "media_type": "application/pdf"}, 422, "file_wrong_type"),
        ({"content": "text", "media_type": "nonsense"}, 422, "unsupported_media_type"),
        ({"content": "text", "source": "x" * 1001}, 400, "validation_error"),
        ({"content": "text", "source": "\U0001f600" * 1000}, 400, "validation_error"),
        ({"content": "text", "source": "a\u0000b"}, 400, "validation_error"),
        ({"content": "text", "title": "a\u0000b"}, 400, "validation_error"),
        ({"content": "text", "audience": "everybody"}, 400, "validation_error"),
        ({"content": "text", "unknown": 1}, 400, "validation_error"),
        ({"content": 7}, 400, "validation_error"),
        (
            {"content": "t", "valid_from": "2026-01-02T00:00:00Z", "valid_until": "2026-01-02T00:00:00Z"},
            422,
            "invalid_validity",
        ),
        (
            {"content": "t", "collection_id": "00000000-0000-7000-8000-000000000000"},
            404,
            "collection_not_found",
        ),
    ],
)
async def test_what_cannot_be_taken_in_is_refused_by_name_and_nothing_is_stored(
    library, as_role, fields, status, code
):
    body = {"collection_id": str(library.collection_id), **fields}
    async with as_role("agent") as client:
        response = await client.post("/v1/rag/documents", json=body)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert await stored(library) == 0


@pytest.mark.parametrize(
    ("filename", "content", "code"),
    [
        ("a.md", b"", "file_empty"),
        ("a.md", b"\x00\x00\x00", "file_empty"),
        ("a.txt", bytes(range(256)) * 20, "file_wrong_type"),
        ("a", bytes(range(256)) * 20, "unsupported_media_type"),
        ("a.pdf", b"no pdf at all", "file_wrong_type"),
        ("a.md", b"%PDF-1.7 but named otherwise", "file_wrong_type"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "unsupported_media_type"),
        ("a.docx", b"PK\x03\x04 cut off", "file_corrupt"),
    ],
)
async def test_files_of_no_use_are_refused_by_name_and_nothing_is_stored(
    library, as_role, filename, content, code
):
    async with as_role("agent") as client:
        response = await client.post(
            "/v1/rag/documents",
            data={"collection_id": str(library.collection_id)},
            files={"file": (filename, content, "application/octet-stream")},
        )
    assert (response.status_code, response.json()["code"]) == (422, code), response.text
    assert await stored(library) == 0


async def test_a_body_beyond_the_limit_is_413_and_nothing_is_stored(library, as_role, settings):
    body = {"collection_id": str(library.collection_id), "content": "x" * (settings.upload_max_bytes + 1)}
    async with as_role("agent") as client:
        response = await client.post("/v1/rag/documents", json=body)
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert await stored(library) == 0


@pytest.mark.parametrize("source", ["a\udcffb", "a\0b", "é" * 1001])
async def test_a_source_that_cannot_be_stored_is_refused_from_the_command_line_too(library, source):
    with pytest.raises(InvalidError):
        await library.put("text", source=source)


@pytest.mark.parametrize("audience", ["everybody", "account", "account:", "account:7", "customers:x", ""])
async def test_an_audience_that_means_nobody_is_refused_from_the_command_line_too(library, audience):
    with pytest.raises(UnprocessableError):
        await library.put("text", audience=audience)


async def test_documents_without_a_source_are_each_their_own(library):
    one, two = await library.put("same"), await library.put("same", source="")
    assert one.id != two.id
    assert two.source is None


async def test_a_file_that_cannot_be_parsed_fails_with_its_reason_and_a_better_one_mends_it(library):
    document = await library.put(b"%PDF-1.7\nbroken", filename="a.pdf", media_type=None, source="a")
    payload = json.dumps({"document_id": str(document.id), "version": 1}).encode()
    await library.ingestor.handle(payload, attempts=0)  # no exception: trying again would not help
    failed = await library.read(document.id)
    assert (failed.status, failed.error_code) == (DocumentStatus.FAILED, "file_corrupt")
    assert failed.error_detail
    assert await library.chunks(document.id) == []
    mended = await library.add("# Good\n\nNow it can be read.", source="a")
    assert (mended.id, mended.status, mended.error_code) == (document.id, DocumentStatus.READY, None)


async def test_a_document_that_fails_keeps_its_served_version(library):
    document = await library.add("# Good\n\nReadable zephyrs.", source="a")
    newer = await library.put(b"%PDF-1.7\nbroken", filename="a.pdf", media_type=None, source="a")
    payload = json.dumps({"document_id": str(document.id), "version": newer.latest_version}).encode()
    await library.ingestor.handle(payload, attempts=0)
    failed = await library.read(document.id)
    assert (failed.status, failed.latest_version, failed.served_version) == (DocumentStatus.FAILED, 2, 1)
    assert (await library.search("zephyrs"))[0].version == 1


async def test_a_failed_document_uploaded_again_unchanged_is_tried_again(library, as_role):
    body = {"collection_id": str(library.collection_id), "content": "# A\n\nText.", "source": "a"}
    async with as_role("agent") as client:
        document = (await client.post("/v1/rag/documents", json=body)).json()
        await mark_failed(library.database, document["id"])
        again = await client.post("/v1/rag/documents", json=body)
        assert again.status_code == 202, again.text
        shown = again.json()
        assert (shown["id"], shown["latest_version"], shown["status"]) == (document["id"], 1, "queued")
        assert shown["error"] is None
    found = await library.read(shown["id"])
    assert await library.jobs(found.id) == ["queued", "queued"]
    assert await library.ingest(found) is not None


async def mark_failed(database: Database, document_id: str) -> None:
    async with database.session() as session:
        await session.execute(
            text("update document set status = 'failed', error_code = 'x' where id = :id"),
            {"id": document_id},
        )


async def test_a_queued_document_without_title_or_file_keeps_its_source_as_title(library):
    document = await library.add("Just words.", source="notes/7")
    assert document.title == "notes/7"


async def test_two_first_uploads_of_one_source_at_once_are_one_document(library):
    made = await asyncio.gather(*(library.put("same words", source="a") for _ in range(5)))
    assert len({each.id for each in made}) == 1
    assert {each.latest_version for each in made} == {1}
    assert await library.jobs(made[0].id) == ["queued"]


async def test_twenty_uploads_of_one_source_at_once_end_with_the_newest_served(library, database):
    """With two workers ingesting meanwhile."""
    workers = [Worker(database, {INGEST_JOB: library.ingestor.handle}, concurrency=4) for _ in range(2)]
    for each in workers:
        each.start()
    try:
        made = await asyncio.gather(
            *(library.put(f"# A\n\nShared part.\n\n# B{n}\n\nNumber {n}.", source="a") for n in range(20))
        )
        document_id = made[0].id
        assert {each.id for each in made} == {document_id}
        assert sorted(each.latest_version for each in made) == list(range(1, 21))

        async def settled() -> bool:
            return (await library.read(document_id)).status == "ready" and not await library.jobs(document_id)

        await until(settled, seconds=60)
    finally:
        for each in workers:
            await each.stop()
    document = await library.read(document_id)
    assert (document.latest_version, document.served_version) == (20, 20)
    assert {each.version for each in await library.chunks(document_id)} == {20}
    newest = next(each for each in made if each.latest_version == 20)
    assert (await library.version(document_id, 20)).content_hash == newest.content_hash
    assert len(await library.vectors(document_id)) == len(await library.chunks(document_id))
    await assert_statistics_exact(database)


async def an_ingestor(library: Library, url: str, unique: str) -> tuple[Ingestor, OpenAIEmbedder]:
    """An ingestor that embeds at an endpoint."""
    from app.database import create_engine

    embedder = OpenAIEmbedder(
        base_url=url,
        api_key="k",
        model=unique,
        dimensions=64,
        window=500,
        concurrency=2,
        timeout=2,
        retries=0,
    )
    owner = create_engine(library.database.dsn("owner"))
    async with owner.begin() as connection:
        await register_model(connection, name=embedder.model, dimensions=64)
        statement = text("select id from embedding_model where name = :name")
        model_id = await connection.scalar(statement, {"name": embedder.model})
    await owner.dispose()
    base = library.ingestor
    ingestor = Ingestor(
        database=library.database,
        embedder=embedder,
        model_id=model_id,
        plan=base._plan,
        pool=base._pool,
        parse_timeout=30,
    )
    return ingestor, embedder


async def test_an_embedding_endpoint_that_fails_is_tried_again_and_then_the_document_fails(library, unique):
    from app.rag.embeddings import EmbeddingUnavailableError

    document = await library.put("# A\n\nText.")
    payload = json.dumps({"document_id": str(document.id), "version": 1}).encode()
    with OpenAIServer() as server:
        ingestor, embedder = await an_ingestor(library, server.url, unique)
        server.script_embeddings(Failure(500))
        with pytest.raises(EmbeddingUnavailableError):
            await ingestor.handle(payload, attempts=0)
        waiting = await library.read(document.id)
        assert waiting.status == DocumentStatus.QUEUED
        assert waiting.error_code is not None
        assert waiting.error_code.startswith("embedding_")
        await ingestor.handle(payload, attempts=1)  # the endpoint is well again
        assert (await library.read(document.id)).status == DocumentStatus.READY
        await embedder.aclose()


async def test_an_endpoint_that_refuses_connections_is_no_database_away(library, unique):
    """Both fail with the same error of the operating system; only one of them must be waited for."""
    from app.rag.embeddings import EmbeddingUnavailableError

    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
    ingestor, embedder = await an_ingestor(library, f"http://127.0.0.1:{port}/v1", unique)
    document = await library.put("# A\n\nText.")
    payload = json.dumps({"document_id": str(document.id), "version": 1}).encode()
    with pytest.raises(EmbeddingUnavailableError):
        await ingestor.handle(payload, attempts=0)
    assert (await library.read(document.id)).status == DocumentStatus.QUEUED
    await ingestor.handle(payload, attempts=LAST_ATTEMPT)
    failed = await library.read(document.id)
    assert (failed.status, failed.error_code) == (DocumentStatus.FAILED, "embedding_unavailable")
    await embedder.aclose()


async def test_an_error_of_our_own_making_says_nothing_of_itself(library):
    async def fail() -> None:
        raise KeyError("a secret of the document")

    library.embedder.before = fail
    document = await library.put("# A\n\nText.")
    payload = json.dumps({"document_id": str(document.id), "version": 1}).encode()
    with pytest.raises(KeyError):
        await library.ingestor.handle(payload, attempts=0)
    await library.ingestor.handle(payload, attempts=LAST_ATTEMPT)
    failed = await library.read(document.id)
    assert (failed.status, failed.error_code) == (DocumentStatus.FAILED, "internal_error")
    assert "secret" not in (failed.error_detail or "")


async def test_a_job_of_a_document_that_is_gone_ends_quietly(library):
    payload = b'{"document_id":"00000000-0000-7000-8000-000000000000","version":1}'
    await library.ingestor.handle(payload, attempts=0)


async def test_a_blank_collection_name_is_refused_and_one_name_is_one_collection(database, unique):
    async with database.session() as session:
        with pytest.raises(InvalidError):
            await collections.create(session, name="  ")

    async def make() -> object:
        async with database.session() as session:
            return (await collections.get_or_create(session, name=f" {unique} ")).id

    assert len(set(await asyncio.gather(*(make() for _ in range(5))))) == 1
