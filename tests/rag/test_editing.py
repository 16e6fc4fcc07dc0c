"""Collections and documents changed by staff, and the events that tell of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.exceptions import UnavailableError
from app.rag.constants import DocumentStatus
from tests.rag.library import assert_statistics_exact

RAG = "/v1/rag"
TEXT = "# Zephyrs\n\nA zephyr is refunded within fourteen days."


async def events_of(database: Any, subject: str | UUID) -> list[Any]:
    statement = text(
        "select type, before, after, customer_visible, account_id, person_id from event"
        " where subject_id = :id order by transaction, number"
    )
    async with database.session() as session:
        return list((await session.execute(statement, {"id": UUID(str(subject))})).all())


async def new_collection(client: Any) -> dict[str, Any]:
    response = await client.post(f"{RAG}/collections", json={"name": f"shelf {uuid4()}"})
    assert response.status_code == 201, response.text
    collection: dict[str, Any] = response.json()
    return collection


class TestCollections:
    async def test_a_collection_is_renamed_and_says_so(self, as_role, database):
        async with as_role("agent") as agent:
            made = await new_collection(agent)
            path = f"{RAG}/collections/{made['id']}"
            body = {"name": f"  {made['name']} II ", "description": "More"}
            changed = await agent.patch(path, json=body, headers={"If-Match": '"1"'})
            assert changed.json() == (await agent.get(path)).json()
            assert (changed.json()["name"], changed.json()["version"]) == (f"{made['name']} II", 2)
            assert (await agent.patch(path, json=body)).json()["version"] == 2
            late = await agent.patch(path, json={"description": "Less"}, headers={"If-Match": '"1"'})
            assert (late.status_code, late.json()["current_version"]) == (412, 2)
        created, updated = await events_of(database, made["id"])
        assert (created.type, updated.type) == ("collection.created", "collection.updated")
        assert updated.before == {"name": made["name"], "description": ""}

    async def test_a_name_that_is_taken_and_a_blank_one_are_refused(self, as_role):
        async with as_role("agent") as agent:
            one, two = await new_collection(agent), await new_collection(agent)
            path = f"{RAG}/collections/{one['id']}"
            taken = await agent.patch(path, json={"name": two["name"]})
            assert (taken.status_code, taken.json()["code"]) == (409, "collection_exists")
            assert (await agent.patch(path, json={"name": "   "})).status_code == 400

    async def test_only_an_empty_one_is_deleted(self, as_role, library, database):
        document = await library.put(TEXT)
        path = f"{RAG}/collections/{library.collection_id}"
        async with as_role("agent") as agent:
            refused = await agent.delete(path)
            assert (refused.status_code, refused.json()["code"]) == (409, "collection_not_empty")
            assert (await agent.delete(f"{RAG}/documents/{document.id}")).status_code == 204
            stale = await agent.delete(path, headers={"If-Match": '"7"'})
            assert stale.status_code == 412
            assert (await agent.delete(path)).status_code == 204
            assert (await agent.get(path)).status_code == 404
        assert (await events_of(database, library.collection_id))[-1].type == "collection.deleted"

    async def test_a_customer_gets_one_that_holds_something_for_them(self, as_role, library):
        path = f"{RAG}/collections/{library.collection_id}"
        async with as_role("customer") as customer:
            assert (await customer.get(path)).status_code == 404
            await library.add(TEXT)
            assert (await customer.get(path)).status_code == 200


class TestDocuments:
    async def test_a_new_audience_holds_at_once_for_searches_and_readers(self, as_role, library):
        document = await library.add(TEXT)
        path = f"{RAG}/documents/{document.id}"
        async with as_role("agent") as agent, as_role("customer") as customer:
            assert (await customer.get(path)).status_code == 200
            shown = (await agent.patch(path, json={"audience": "staff"})).json()
            assert (shown["audience"], shown["latest_version"], shown["status"]) == ("staff", 1, "ready")
            assert (await customer.get(path)).status_code == 404
            assert await library.search("zephyr", "public") == []
            assert len(await library.search("zephyr", "staff")) == 1
            await agent.patch(path, json={"audience": "public"})
            assert len(await library.search("zephyr", "public")) == 1
        await assert_statistics_exact(library.database)

    async def test_a_new_validity_holds_at_once(self, as_role, library):
        document = await library.add(TEXT)
        path = f"{RAG}/documents/{document.id}"
        yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        async with as_role("agent") as agent:
            await agent.patch(path, json={"valid_until": yesterday})
            assert await library.search("zephyr") == []
            backwards = await agent.patch(path, json={"valid_from": datetime.now(UTC).isoformat()})
            assert (backwards.status_code, backwards.json()["code"]) == (422, "invalid_validity")
            await agent.patch(path, json={"valid_until": None})
            assert len(await library.search("zephyr")) == 1

    async def test_another_title_is_a_new_version_and_the_old_one_answers_until_it_is_in(
        self, as_role, library
    ):
        document = await library.add(TEXT, title="Winds")
        path = f"{RAG}/documents/{document.id}"
        async with as_role("agent") as agent:
            shown = (await agent.patch(path, json={"title": "Breezes", "product": "Airship"})).json()
            assert (shown["title"], shown["latest_version"], shown["served_version"]) == ("Breezes", 2, 1)
            assert [hit.version for hit in await library.search("zephyr")] == [1]
            await library.ingest(await library.read(document.id))
            shown = (await agent.get(path)).json()
            assert (shown["status"], shown["served_version"], shown["product"]) == ("ready", 2, "Airship")
        (chunk,) = await library.chunks(document.id)
        assert "Breezes" in chunk.header
        assert (await library.version(document.id, 2)).content_hash == document.content_hash
        await assert_statistics_exact(library.database)

    async def test_a_document_moves_with_its_passages_and_vectors(self, as_role, library, rag):
        document = await library.add(TEXT, source="winds.md")
        async with as_role("agent") as agent:
            other = await new_collection(agent)
            path = f"{RAG}/documents/{document.id}"
            moved = await agent.patch(path, json={"collection_id": other["id"]})
            assert moved.json()["collection_id"] == other["id"]
            assert await library.search("zephyr") == []
            found = await agent.post(f"{RAG}/search", json={"query": "zephyr", "collections": [other["id"]]})
            assert [each["document_id"] for each in found.json()["items"]] == [str(document.id)]
            vectors = (await library.vectors(document.id)).values()
            assert {str(each.collection_id) for each in vectors} == {other["id"]}
            again = await library.add(TEXT, source="winds.md")
            taken = await agent.patch(
                f"{RAG}/documents/{again.id}", json={"collection_id": other["id"], "audience": "staff"}
            )
            assert (taken.status_code, taken.json()["code"]) == (409, "source_exists")
            assert (await library.read(again.id)).audience == ["public"]
            nowhere = await agent.patch(path, json={"collection_id": str(uuid4())})
            assert (nowhere.status_code, nowhere.json()["code"]) == (404, "collection_not_found")

    async def test_of_two_editors_one_gets_412_and_ingestion_counts_as_a_change(self, as_role, library):
        document = await library.put(TEXT)
        path = f"{RAG}/documents/{document.id}"
        async with as_role("agent") as agent:
            queued = (await agent.get(path)).headers["ETag"]
            await library.ingest(document)
            ready = await agent.get(path, headers={"If-None-Match": queued})
            assert (ready.status_code, ready.json()["status"]) == (200, "ready")
            headers = {"If-Match": ready.headers["ETag"]}
            answers = await asyncio.gather(
                *(
                    agent.patch(path, json={"audience": each}, headers=headers)
                    for each in ("staff", "customers")
                )
            )
            assert sorted(each.status_code for each in answers) == [200, 412]
            assert (await agent.delete(path, headers=headers)).status_code == 412

    async def test_the_events_of_a_document_tell_its_life_to_staff_only(self, as_role, library, database):
        document = await library.add(TEXT, source="winds.md")
        await library.put(TEXT + " Or later.", source="winds.md")
        await library.put(TEXT + " Or later.", source="winds.md")  # nothing new
        await library.ingest(await library.read(document.id))
        async with as_role("agent") as agent:
            path = f"{RAG}/documents/{document.id}"
            await agent.patch(path, json={"audience": "staff"})
            await agent.patch(path, json={"audience": "staff"})
            await agent.delete(path)
        found = await events_of(database, document.id)
        assert [each.type.removeprefix("document.") for each in found] == [
            "created", "ready", "version_added", "ready", "updated", "deleted"
        ]  # fmt: skip
        assert found[2].after == {"latest_version": 2}
        assert found[4].before == {"audience": "public"}
        assert not any(each.customer_visible for each in found)

    async def test_a_document_that_cannot_be_read_has_its_event_and_one_to_be_tried_again_has_none(
        self, library, database
    ):
        document = await library.put(b"%PDF-1.7 nothing of a PDF", media_type="application/pdf")
        payload = f'{{"document_id":"{document.id}","version":1}}'.encode()
        await library.ingestor.handle(payload, 1)
        assert (await library.read(document.id)).status == DocumentStatus.FAILED
        last = (await events_of(database, document.id))[-1]
        assert (last.type, last.after["latest_version"]) == ("document.failed", 1)
        assert last.after["error_code"].startswith("file_")

        async def away() -> None:
            raise UnavailableError("the endpoint is away")

        waiting = await library.put(TEXT)
        library.embedder.before = away
        with pytest.raises(UnavailableError):
            await library.ingestor.handle(f'{{"document_id":"{waiting.id}","version":1}}'.encode(), 1)
        assert [each.type for each in await events_of(database, waiting.id)] == ["document.created"]


class TestReaders:
    async def test_chats_answers_and_verdicts_are_told_to_their_owner_without_a_word_of_them(
        self, as_role, database, library
    ):
        word = f"quux{uuid4().hex}"
        async with as_role("customer") as customer:
            me = (await customer.get("/v1/identity/me")).json()["person"]["id"]
            chat = (await customer.post(f"{RAG}/chats", json={"title": word})).json()
            asked = {"question": f"What is {word}?"}
            answer = (await customer.post(f"{RAG}/chats/{chat['id']}/messages", json=asked)).json()
            verdict = f"{RAG}/answers/{answer['id']}/feedback"
            for rating in ("down", "down", "up"):
                await customer.post(verdict, json={"rating": rating, "comment": word})
            seen = (await customer.get("/v1/events", params={"subject": f"answer:{answer['id']}"})).json()
        told = [*await events_of(database, chat["id"]), *await events_of(database, answer["id"])]
        assert [each.type for each in told] == [
            "chat.created", "answer.created", "feedback.given", "feedback.given"
        ]  # fmt: skip
        assert [(each.before, each.after) for each in told[2:]] == [
            (None, {"rating": "down"}), ({"rating": "down"}, {"rating": "up"})
        ]  # fmt: skip
        assert {(str(each.person_id), each.account_id, each.customer_visible) for each in told} == {
            (me, None, True)
        }
        assert word not in str(told)
        assert [each["type"] for each in seen["items"]] == [each.type for each in told[1:]]
