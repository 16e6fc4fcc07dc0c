"""Nobody reads what was not written for them, by whichever way they ask."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.identity import Role
from app.identity import service as identity
from app.rag.runtime import Rag
from app.rag.visibility import audience_name, audience_tokens, narrower
from tests.rag.library import Library

SECRET = (
    "# Zephyrine protocol\n\nThe zephyrine override code is QX-7741. Ask for the zephyrine override by phone."
)
QUESTION = "What is the zephyrine override code?"


@pytest.fixture
async def accounts(database, unique) -> dict[str, Any]:
    """Two customers of two accounts: their account ids and keys."""
    made: dict[str, Any] = {}
    async with database.session() as session:
        for name in ("one", "two"):
            account = await identity.upsert_account(session, f"{unique}-{name}", name)
            person = await identity.upsert_person(
                session, f"{unique}-{name}", name=name, account_id=account.id, role=Role.customer
            )
            _, key = await identity.create_key(session, name=name, role=Role.customer, person_id=person.id)
            made[name] = (account.id, key)
    return made


@pytest.fixture
async def library(library: Library, rag: Rag) -> Library:
    """With vectors of the model that questions are embedded with, so that answers come about."""
    library.ingestor = rag.ingestor
    return library


def as_key(client: httpx.AsyncClient, key: str) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {key}"
    return client


def events(body: str) -> list[tuple[str, Any]]:
    found = []
    for block in body.replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def seen(client: httpx.AsyncClient, library: Library, document_id: object) -> dict[str, bool]:
    """By which ways the client learns of the document."""
    ways: dict[str, bool] = {}
    mark, only = str(document_id), {"collections": [str(library.collection_id)]}
    listed = await client.get("/v1/rag/documents", params={"collection_id": str(library.collection_id)})
    ways["list"] = mark in listed.text
    shelves = await client.get("/v1/rag/collections", params={"limit": 100})
    ways["collections"] = str(library.collection_id) in shelves.text
    ways["get"] = (await client.get(f"/v1/rag/documents/{mark}")).status_code == 200
    for version in ({}, {"version": 1}):
        body = await client.get(f"/v1/rag/documents/{mark}/text", params=version)
        ways[f"text {version}"] = body.status_code == 200 or "QX-7741" in body.text
    found = await client.post("/v1/rag/search", json={"query": QUESTION, **only})
    ways["search"] = mark in found.text or "QX-7741" in found.text
    by_id = {"query": QUESTION, "filters": {"document_ids": [mark]}}
    ways["search by id"] = "QX-7741" in (await client.post("/v1/rag/search", json=by_id)).text
    answer = await client.post("/v1/rag/answers", json={"question": QUESTION, **only})
    assert answer.status_code == 200, answer.text
    ways["answer"] = mark in answer.text or "QX-7741" in answer.text
    stream = await client.post(
        "/v1/rag/answers", json={"question": QUESTION, **only}, headers={"Accept": "text/event-stream"}
    )
    names = [name for name, _ in events(stream.text)]
    assert names[0] == "sources"
    assert names[-1] == "done"
    sources = json.dumps(events(stream.text)[0][1])
    ways["stream: sources"] = mark in sources or "QX-7741" in sources
    ways["stream: the rest"] = any(
        mark in json.dumps(data) or "QX-7741" in json.dumps(data) for _, data in events(stream.text)[1:]
    )
    chat = (await client.post("/v1/rag/chats", json={})).json()["id"]
    message = await client.post(f"/v1/rag/chats/{chat}/messages", json={"question": QUESTION, **only})
    assert message.status_code == 200, message.text
    ways["chat"] = mark in message.text or "QX-7741" in message.text
    kept = await client.get(f"/v1/rag/chats/{chat}/messages")
    ways["chat messages"] = mark in kept.text or "QX-7741" in kept.text
    stored = await client.get(f"/v1/rag/answers/{answer.json()['id']}")
    ways["stored answer"] = mark in stored.text or "QX-7741" in stored.text
    return ways


NEVER, ALWAYS = {False}, {True}


async def test_a_customer_never_learns_of_a_staff_document_and_staff_do(library, client, keys):
    document = await library.add(SECRET, audience="staff")
    ways = await seen(as_key(client, keys["customer"]), library, document.id)
    assert set(ways.values()) == NEVER, ways
    ways = await seen(as_key(client, keys["agent"]), library, document.id)
    assert set(ways.values()) == ALWAYS, ways


async def test_a_customer_never_learns_of_another_accounts_document_and_its_own_and_staff_do(
    library, client, keys, accounts
):
    document = await library.add(SECRET, audience=f"account:{str(accounts['one'][0]).upper()}")
    ways = await seen(as_key(client, accounts["two"][1]), library, document.id)
    assert set(ways.values()) == NEVER, ways
    ways = await seen(as_key(client, accounts["one"][1]), library, document.id)
    assert set(ways.values()) == ALWAYS, ways
    ways = await seen(as_key(client, keys["lead"]), library, document.id)
    assert set(ways.values()) == ALWAYS, ways


@pytest.mark.parametrize("audience", ["public", "customers"])
async def test_customers_read_what_is_for_them(library, client, keys, audience):
    document = await library.add(SECRET, audience=audience)
    ways = await seen(as_key(client, keys["customer"]), library, document.id)
    assert set(ways.values()) == ALWAYS, ways


async def test_a_document_that_is_not_served_yet_is_unknown_to_customers(library, client, keys):
    document = await library.put(SECRET)
    ways = await seen(as_key(client, keys["customer"]), library, document.id)
    assert set(ways.values()) == NEVER, ways


async def test_a_stored_answer_is_withheld_once_its_document_is_for_staff_only(library, client, keys):
    document = await library.add(SECRET, source="a.md")
    customer = as_key(client, keys["customer"])
    body = {"question": QUESTION, "collections": [str(library.collection_id)]}
    answer = (await customer.post("/v1/rag/answers", json=body)).json()
    assert "QX-7741" in answer["text"]
    chat = (await customer.post("/v1/rag/chats", json={})).json()["id"]
    await customer.post(f"/v1/rag/chats/{chat}/messages", json=body)
    await library.put(SECRET, source="a.md", audience="staff")
    for path in (f"/v1/rag/answers/{answer['id']}", f"/v1/rag/chats/{chat}/messages"):
        shown = (await customer.get(path)).text
        assert "QX-7741" not in shown
        assert str(document.id) not in shown
    again = (await customer.get(f"/v1/rag/answers/{answer['id']}")).json()
    assert (again["citations"], again["reason"]) == ([], "sources_unavailable")


async def stored_audiences(library: Library, document_id: Any) -> set[tuple[str, ...]]:
    chunks = {tuple(each.audience) for each in await library.chunks(document_id)}
    vectors = {tuple(each.audience) for each in (await library.vectors(document_id)).values()}
    assert chunks == vectors
    return chunks


async def test_a_new_audience_of_the_same_content_holds_at_once_and_embeds_nothing(library):
    document = await library.add(SECRET, source="a.md", audience="public")
    for audience in ("staff", "public", "customers"):
        again = await library.put(SECRET, source="a.md", audience=audience)
        assert (again.latest_version, again.status) == (1, "ready")
        assert again.audience == audience_tokens(audience)
        assert await stored_audiences(library, document.id) == {tuple(audience_tokens(audience))}
        assert (await library.version(document.id, 1)).audience == audience_tokens(audience)
    assert await library.jobs(document.id) == ["queued"]  # the first upload's
    assert await library.search(QUESTION, "public") == []
    assert await library.search(QUESTION, "customers")


async def test_a_narrower_audience_of_new_content_holds_before_that_is_ingested(library):
    document = await library.add(SECRET, source="a.md", audience="public")
    await library.put(SECRET + " New.", source="a.md", audience="staff")
    assert await stored_audiences(library, document.id) == {("staff",)}
    assert await library.search(QUESTION, "public", "customers") == []


async def test_a_wider_audience_of_new_content_does_not_open_the_old_content(library, client, keys):
    """The new text was made fit for customers; the old one was not."""
    document = await library.add(SECRET, source="a.md", audience="staff")
    newer = await library.put(
        "# Zephyrine\n\nAsk for the override by phone.", source="a.md", audience="public"
    )
    customer = as_key(client, keys["customer"])
    assert await library.search(QUESTION, "public") == []
    assert "QX-7741" not in (await customer.get(f"/v1/rag/documents/{document.id}/text")).text
    await library.ingest(newer)
    assert (await library.search(QUESTION, "public"))[0].version == 2
    assert (await customer.get(f"/v1/rag/documents/{document.id}/text")).status_code == 200
    old = await customer.get(f"/v1/rag/documents/{document.id}/text", params={"version": 1})
    assert old.status_code == 404
    agent = as_key(client, keys["agent"])
    old = await agent.get(f"/v1/rag/documents/{document.id}/text", params={"version": 1})
    assert "QX-7741" in old.json()["text"]


async def test_content_that_fails_leaves_the_narrower_audience(library):
    document = await library.add(SECRET, source="a.md", audience="customers")
    for content, audience in ((SECRET + " 2", "public"), (SECRET + " 3", "staff"), (SECRET + " 4", "public")):
        await library.put(content, source="a.md", audience=audience)
    assert await stored_audiences(library, document.id) == {("staff",)}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("public", "customers", "customers"),
        ("customers", "account:1", "account:1"),
        ("account:1", "staff", "staff"),
        ("public", "staff", "staff"),
        ("account:1", "account:1", "account:1"),
        ("account:1", "account:2", "staff"),
        ("staff", "staff", "staff"),
    ],
)
def test_the_narrower_of_two_audiences(one, other, both):
    for a, b in ((one, other), (other, one)):
        assert audience_name(narrower(audience_tokens(a), audience_tokens(b))) == both


async def test_an_unknown_account_in_the_audience_is_422(library, as_role):
    body = {
        "collection_id": str(library.collection_id),
        "content": "text",
        "audience": "account:00000000-0000-7000-8000-000000000000",
    }
    async with as_role("agent") as client:
        response = await client.post("/v1/rag/documents", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "unknown_account")
        listed = await client.get("/v1/rag/documents", params={"collection_id": str(library.collection_id)})
        assert listed.json()["items"] == []


@pytest.mark.parametrize("role", ["customer"])
async def test_customers_neither_upload_nor_delete(library, as_role, role):
    document = await library.add(SECRET)
    async with as_role(role) as client:
        body = {"collection_id": str(library.collection_id), "content": "text"}
        assert (await client.post("/v1/rag/documents", json=body)).status_code == 403
        assert (await client.delete(f"/v1/rag/documents/{document.id}")).status_code == 404
        patched = await client.patch(f"/v1/rag/documents/{document.id}", json={"audience": "public"})
        assert patched.status_code == 404
    assert await library.chunks(document.id)


async def test_a_deleted_document_is_gone_from_everything_at_once(library, client, keys, database):
    document = await library.add(SECRET)
    agent = as_key(client, keys["agent"])
    body = {"question": QUESTION, "collections": [str(library.collection_id)]}
    answer = (await agent.post("/v1/rag/answers", json=body)).json()
    assert (await agent.delete(f"/v1/rag/documents/{document.id}")).status_code == 204
    ways = await seen(agent, library, document.id)
    ways.pop("collections")
    assert set(ways.values()) == NEVER, ways
    assert "QX-7741" not in (await agent.get(f"/v1/rag/answers/{answer['id']}")).text
    assert (await agent.delete(f"/v1/rag/documents/{document.id}")).status_code == 404
    async with database.session() as session:
        orphans = (
            "select count(*) from chunk_embedding e left join chunk c on c.id = e.chunk_id where c.id is null"
        )
        assert await session.scalar(text(orphans)) == 0


async def test_validity_is_respected_now_and_as_of_a_date(library, as_role):
    now = datetime.now(UTC)
    past, future = now - timedelta(days=30), now + timedelta(days=30)
    ended = await library.add("# Zephyrine\n\nOld zephyrine rule.", valid_until=past)
    holds = await library.add("# Zephyrine\n\nZephyrine rule now.", valid_from=past, valid_until=future)
    begins = await library.add("# Zephyrine\n\nComing zephyrine rule.", valid_from=future)
    always = await library.add("# Zephyrine\n\nEternal zephyrine rule.")

    async def found(as_of: datetime | None) -> set[Any]:
        async with as_role("agent") as client:
            filters = {} if as_of is None else {"filters": {"as_of": as_of.isoformat()}}
            body = {"query": "zephyrine rule", "collections": [str(library.collection_id)], **filters}
            response = await client.post("/v1/rag/search", json=body)
            assert response.status_code == 200, response.text
            return {item["document_id"] for item in response.json()["items"]}

    def ids(*documents: Any) -> set[str]:
        return {str(each.id) for each in documents}

    assert await found(None) == ids(holds, always)
    assert await found(past - timedelta(days=1)) == ids(ended, always)
    assert await found(past) == ids(holds, always)  # the end is excluded, the beginning included
    assert await found(future) == ids(begins, always)


async def test_a_new_validity_of_the_same_content_holds_at_once(library):
    await library.add(SECRET, source="a.md")
    assert await library.search(QUESTION)
    past = datetime.now(UTC) - timedelta(days=1)
    assert (await library.put(SECRET, source="a.md", valid_until=past)).latest_version == 1
    assert await library.search(QUESTION) == []
    assert await library.search(QUESTION, as_of=past - timedelta(days=1))
    await library.put(SECRET, source="a.md")
    assert await library.search(QUESTION)


async def test_a_title_that_was_staffs_stays_staffs_until_a_wider_version_is_served(
    client, as_role, keys, library: Library
) -> None:
    first = await library.add("# Layoffs in March\n\nText.", source="plan", audience="staff")
    await library.put("# Layoffs in March, public\n\nText.", source="plan", audience="public")
    customer = as_key(client, keys["customer"])
    assert (await customer.get(f"/v1/rag/documents/{first.id}")).status_code == 404
    listed = (await customer.get("/v1/rag/documents?limit=100")).text
    assert "Layoffs" not in listed
    await library.ingest(await library.read(first.id))
    assert (await customer.get(f"/v1/rag/documents/{first.id}")).status_code == 200


async def test_a_withdrawn_version_stays_withdrawn_from_stored_answers_when_a_later_one_is_public(
    client, keys, library: Library
) -> None:
    customer = as_key(client, keys["customer"])
    body = {"question": "What is the wumpus password?", "collections": [str(library.collection_id)]}
    await library.add("# Wumpus\n\nThe wumpus password is 8842.", source="w", audience="customers")
    answer = (await customer.post("/v1/rag/answers", json=body)).json()
    assert "8842" in answer["text"]
    await library.add("# Wumpus\n\nThe wumpus is gone.", source="w", audience="staff")
    await library.add("# Wumpus\n\nNothing of it remains.", source="w", audience="public")
    again = (await customer.get(f"/v1/rag/answers/{answer['id']}")).json()
    assert "8842" not in json.dumps(again)


async def test_what_is_not_yet_in_force_is_staffs_alone(client, as_role, keys, library: Library) -> None:
    future = datetime.now(UTC) + timedelta(days=400)
    text_ = "# Prices\n\nThe vortigaunt plan will cost 99 dollars."
    document = await library.add(text_, audience="public", valid_from=future)
    customer = as_key(client, keys["customer"])
    assert (await customer.get(f"/v1/rag/documents/{document.id}/text")).status_code == 404
    later = (future + timedelta(days=1)).isoformat()
    body = {"query": "vortigaunt plan", "filters": {"as_of": later}}
    assert "vortigaunt" not in (await customer.post("/v1/rag/search", json=body)).text
    async with as_role("agent") as agent:
        assert "vortigaunt" in (await agent.post("/v1/rag/search", json=body)).text


async def test_where_a_file_lay_is_told_to_staff_only(client, as_role, keys, library: Library) -> None:
    document = await library.add("# Page\n\nText.", source="folder/secret-name.md")
    customer = as_key(client, keys["customer"])
    assert (await customer.get(f"/v1/rag/documents/{document.id}")).json()["source"] is None
    async with as_role("agent") as agent:
        shown = (await agent.get(f"/v1/rag/documents/{document.id}")).json()
    assert shown["source"] == "folder/secret-name.md"


@pytest.mark.parametrize(
    "hostile",
    [
        "![a](http://evil.example/x.png)",
        "[here](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "<a href=http://evil.example>here</a>",
    ],
)
async def test_a_quoted_sentence_carries_no_markup_that_acts(
    client, keys, library: Library, hostile: str
) -> None:
    await library.add(f"The spratzel costs {hostile} 12 dollars.", media_type="text/plain")
    body = {"question": "What does the spratzel cost?", "collections": [str(library.collection_id)]}
    answer = (await as_key(client, keys["customer"]).post("/v1/rag/answers", json=body)).json()
    assert "12 dollars" in answer["text"]
    assert not any(mark in answer["text"] for mark in ("![", "](", "<img", "<a"))
    assert hostile in answer["citations"][0]["quote"]
