"""Suggestions, likely duplicates and search by meaning: with the real model, and without any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.exceptions import UnavailableError
from app.identity import SYSTEM
from app.main import technical_desk
from app.matching import DUPLICATE_FROM, Vectors
from app.rag.runtime import Rag
from app.rag.service import collections, documents
from app.technical.service import changes, indexing, issues
from app.technical.service.indexing import backfill

PATH = "/v1/technical/tickets"
CRASH = "java.lang.IllegalStateException: cursor is closed"


@pytest.fixture
def use_desk(app) -> Callable[..., None]:
    """``use_desk(answers=None)``: the app's desk with these parts, until the test ends."""
    before = app.state.technical

    def use(**parts: Any) -> None:
        app.state.technical = replace(app.state.technical, **parts)

    yield use
    app.state.technical = before


@pytest.fixture
def word() -> str:
    """A word that nobody has written before."""
    return "zq" + uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))[:12]


@pytest.fixture
async def vectors(database, rag) -> Vectors:
    """What the jobs of likeness do."""
    return Vectors(database, rag.embeds)


@pytest.fixture
async def write_document(database, rag) -> AsyncIterator[Callable[..., Any]]:
    """``await write_document(text, audience="public")``: taken in, embedded; gone when the test ends."""
    async with database.session() as session:
        collection = await collections.create(session, name=f"suggestions-{uuid4()}")

    async def write(content: str, *, audience: str = "public") -> UUID:
        upload = documents.Upload(
            collection_id=collection.id,
            content=content.encode(),
            media_type="text/markdown",
            audience=audience,
        )
        async with database.session() as session:
            document = await documents.take_in(session, upload)
        await rag.ingestor.ingest(document.id, document.latest_version)
        return document.id

    yield write
    async with database.session() as session:
        for statement in (
            "delete from document where collection_id = :id",
            "delete from collection where id = :id",
        ):
            await session.execute(text(statement), {"id": collection.id})


async def suggestions(by: Any, ticket: dict[str, Any], **params: Any) -> dict[str, Any]:
    response = await by.client.get(f"{PATH}/{ticket['id']}/suggestions", params=params)
    assert response.status_code == 200, response.text
    given: dict[str, Any] = response.json()
    return given


async def solve(agent: Any, ticket: dict[str, Any], body: str) -> None:
    path = f"{PATH}/{ticket['id']}/messages"
    assert (await agent.client.post(path, json={"body": body, "status": "solved"})).status_code == 201


async def test_the_draft_cites_what_the_requester_may_read_and_the_rest_are_hints(
    caller, open_ticket, write_document, word
):
    customer, agent, other = await caller(), await caller("agent"), await caller()
    public = await write_document(f"# {word}\n\nThe {word} importer accepts files of up to 300 MB.")
    secret = await write_document(
        f"# {word} for the staff\n\nThe {word} importer accepts files of 900 MB with a hidden switch.",
        audience="staff",
    )
    foreign = await write_document(
        f"# {word} for one account\n\nThe {word} importer accepts files of 700 MB for you.",
        audience=f"account:{other.account_id}",
    )
    ticket = await open_ticket(
        customer,
        subject=f"{word} importer",
        description=f"Hello,\nhow large may the files of the {word} importer be?\nRegards",
    )
    given = await suggestions(agent, ticket)
    assert given["draft_missing"] is None
    assert "300 MB" in given["draft"]["text"]
    assert {each["document_id"] for each in given["draft"]["citations"]} == {str(public)}
    for each in given["draft"]["citations"]:
        path = f"/v1/rag/documents/{each['document_id']}/text"
        stored = (await customer.client.get(path, params={"version": each["version"]})).json()["text"]
        assert stored[each["start"] : each["end"]] == each["quote"]
    hints = {each["document_id"] for each in given["hints"]}
    assert str(secret) in hints
    assert str(public) not in hints
    sources = {each["document_id"] for each in given["draft"]["sources"]}
    assert not sources & {str(secret), str(foreign)}
    left_out = await suggestions(agent, ticket, draft="false")
    assert (left_out["draft"], left_out["draft_missing"]) == (None, "left_out")
    assert str(secret) in {each["document_id"] for each in left_out["hints"]}


async def test_a_question_that_no_document_answers_has_no_draft_and_says_so(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(
        customer, subject="Vrxqal", description="How do I tune the vrxqal of the blmpf for wqzt?"
    )
    given = await suggestions(agent, ticket)
    assert (given["draft"], given["draft_missing"]) == (None, "abstained")


async def test_what_was_asked_last_is_what_the_draft_answers(caller, open_ticket, write_document, word):
    customer, agent = await caller(), await caller("agent")
    await write_document(
        f"# {word}\n\nThe {word} plan costs 40 EUR.\n\n## Seats\n\nThe {word} plan has 25 seats for editors."
    )
    ticket = await open_ticket(
        customer, subject=f"{word} plan", description=f"What does the {word} plan cost?"
    )
    path = f"{PATH}/{ticket['id']}/messages"
    await agent.client.post(path, json={"body": f"The {word} plan costs 40 EUR."})
    await customer.client.post(path, json={"body": f"How many seats does the {word} plan have for editors?"})
    assert "25 seats" in (await suggestions(agent, ticket))["draft"]["text"]


async def test_similar_tickets_come_with_why_and_with_their_solution(caller, open_ticket, vectors, word):
    customer, agent, other = await caller(), await caller("agent"), await caller()
    solved = await open_ticket(
        other,
        subject=f"{word} crashes on export",
        description=f"The {word} report crashes on export with {CRASH}",
        product="Reports",
        product_version="4.2",
    )
    await solve(agent, solved, f"Raise {word}_timeout to 600.")
    ticket = await open_ticket(
        customer,
        subject=f"{word} fails",
        description=f"When I export the {word} report it fails: {CRASH}",
        product="Reports",
        product_version="4.2",
    )
    await vectors.sweep()
    found = (await suggestions(agent, ticket, draft="false"))["similar"]
    assert found[0]["id"] == solved["id"]
    assert found[0]["resolution"] == f"Raise {word}_timeout to 600."
    why = found[0]["why"]
    assert why["same_product"] is why["same_version"] is True
    assert word in why["terms"]
    assert why["cosine"] > 0.5
    assert ticket["id"] not in {each["id"] for each in found}
    assert len((await suggestions(agent, ticket, draft="false", limit=1))["similar"]) == 1


async def test_likely_duplicates_of_the_same_requester_come_first_with_their_confidence(
    caller, open_ticket, vectors, word
):
    customer, agent, other = await caller(), await caller("agent"), await caller()
    colleague = await caller(account_id=customer.account_id)
    said = {
        "subject": f"{word} dashboard shows no data since the update",
        "description": f"Since the update the {word} dashboard is empty for every project of ours.",
    }
    alien, near = await open_ticket(other, **said), await open_ticket(colleague, **said)
    own, ticket = await open_ticket(customer, **said), await open_ticket(customer, **said)
    finished = await open_ticket(customer, **said)
    await agent.client.post(f"{PATH}/{finished['id']}/transitions", json={"to": "solved"})
    far = await open_ticket(customer, subject=f"{word} invoice", description="Where do I find my invoice?")
    await vectors.sweep()
    found = (await suggestions(agent, ticket, draft="false"))["duplicates"]
    assert [each["id"] for each in found[:2]] == [own["id"], near["id"]]
    assert {each["id"] for each in found[2:4]} == {alien["id"], finished["id"]}
    assert far["id"] not in {each["id"] for each in found}
    assert min(each["confidence"] for each in found) >= DUPLICATE_FROM
    flags = {each["id"]: (each["open"], each["same_requester"], each["same_account"]) for each in found}
    assert flags[own["id"]] == (True, True, True)
    assert flags[near["id"]] == (True, False, True)
    assert flags[alien["id"]] == (True, False, False)
    assert flags[finished["id"]] == (False, True, True)


async def test_a_known_issue_is_named_by_its_signature_and_customers_are_told_what_helps(
    caller, open_ticket, database, word
):
    customer, agent = await caller(), await caller("agent")
    trace = f"java.lang.IllegalStateException: {word} is closed"
    known = {"title": f"Cursors of {word}", "description": f"All stop with\n{trace}"}
    async with database.session() as session:
        issue = await issues.create(session, actor=agent.principal, **known)
    ticket = await open_ticket(customer, subject="Stops", description=f"It stops:\n{trace}")
    hint = (await suggestions(agent, ticket, draft="false"))["issue"]
    number = f"ISS-{issue.number}"
    assert (hint["id"], hint["number"], hint["reason"]) == (str(issue.id), number, "same_signature")
    asked = {"subject": "Stops", "description": f"It stops:\n{trace}"}
    assert (await customer.client.post(f"{PATH}/similar", json=asked)).json()["issues"] == []
    async with database.session() as session:
        await issues.change(session, issue.id, actor=agent.principal, workaround="Log in again.")
    told = (await customer.client.post(f"{PATH}/similar", json=asked)).json()["issues"]
    assert told == [{"title": f"Cursors of {word}", "workaround": "Log in again."}]
    await agent.client.patch(f"{PATH}/{ticket['id']}", json={"issue_id": str(issue.id)})
    assert (await suggestions(agent, ticket, draft="false"))["issue"]["reason"] == "linked"
    other = await open_ticket(customer, subject="Paint", description="The paint comes off.")
    assert (await suggestions(agent, other, draft="false"))["issue"] is None


class Panel:
    """A desk's panel, that fails when it is told to."""

    def __init__(self, name: str, outcome: Any) -> None:
        self.name = name
        self._outcome = outcome

    async def facts(self, session: Any, account_id: UUID, *, principal: Any) -> Any:
        if self._outcome == "broken sql":
            await session.execute(text("select no_such_column from ticket"))
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


async def test_a_failing_panel_shows_its_errors_name_and_the_others_stay(caller, open_ticket, use_desk):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    (own,) = (await suggestions(agent, ticket, draft="false"))["account_facts"]
    assert (own["name"], own["error"], own["facts"]["balances"]) == ("billing", None, [])
    use_desk(
        account_facts=(
            Panel("sql", "broken sql"),
            Panel("away", UnavailableError("secret words")),
            Panel("odd", {"a": object()}),
            Panel("billing", {"plan": "team", "paid_until": "2027-01-01"}),
        )
    )
    panels = {each["name"]: each for each in (await suggestions(agent, ticket))["account_facts"]}
    assert panels["billing"]["facts"] == {"plan": "team", "paid_until": "2027-01-01"}
    assert panels["billing"]["error"] is None
    assert panels["sql"]["error"] == "ProgrammingError"
    assert panels["away"]["error"] == "service_unavailable"
    assert panels["odd"]["facts"] is None
    assert "secret" not in str(panels)


async def test_without_documents_and_models_there_is_an_answer_all_the_same(
    caller, open_ticket, settings, use_desk, word
):
    """As while a server starts: tickets are compared by their words, and nothing is drafted."""
    starting = technical_desk(settings)
    use_desk(answers=starting.answers, embeds=starting.embeds)
    customer, agent = await caller(), await caller("agent")
    said = {"subject": f"{word} pump stalls", "description": f"The {word} pump stalls at night."}
    one, two = await open_ticket(customer, **said), await open_ticket(customer, **said)
    given = await suggestions(agent, two)
    assert (given["draft"], given["draft_missing"], given["hints"]) == (None, "unavailable", [])
    assert one["id"] in {each["id"] for each in given["similar"]}
    assert given["similar"][0]["why"]["cosine"] is None
    assert (await customer.client.post(f"{PATH}/similar", json=said)).status_code == 200
    found = await customer.client.get(f"{PATH}/search", params={"q": f"{word} pump"})
    assert {each["ticket"]["id"] for each in found.json()["items"]} == {one["id"], two["id"]}
    use_desk(answers=None)
    assert (await suggestions(agent, two))["draft_missing"] == "unavailable"


class FailingEmbedder:
    """The model's endpoint is away."""

    model_id, dimensions = 1, 384

    async def embed(self, texts: Any) -> Any:
        raise UnavailableError("away")

    async def embed_query(self, text: str) -> Any:
        raise UnavailableError("away")


async def test_with_the_embedder_away_words_find_what_they_can(caller, open_ticket, rag: Rag, use_desk, word):
    use_desk(embeds=FailingEmbedder())
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(
        customer, subject=f"{word} valve leaks", description=f"The {word} valve leaks oil."
    )
    found = (await agent.client.get(f"{PATH}/search", params={"q": f"{word} valve"})).json()["items"]
    assert [each["ticket"]["id"] for each in found] == [ticket["id"]]
    asked = {"subject": f"{word} valve leaks", "description": f"The {word} valve leaks oil."}
    assert (await agent.client.post(f"{PATH}/similar", json=asked)).status_code == 200
    given = await suggestions(agent, ticket)
    assert given["draft_missing"] in {"abstained", None}


async def test_no_connection_is_held_while_a_model_works(caller, open_ticket, database, app, use_desk):
    """However long it takes: tickets that are compared meanwhile are done before."""
    answers, worked = app.state.technical.answers, []
    before = database.engine.pool.checkedout()

    class Slow:
        """The real answers, whose models work until no connection is out."""

        async def understand(self, *args: Any, **more: Any) -> Any:
            await self._work("understand")
            return await answers.understand(*args, **more)

        async def retrieve(self, *args: Any, **more: Any) -> Any:
            return await answers.retrieve(*args, **more)

        async def write(self, found: Any) -> Any:
            await self._work("write")
            return await answers.write(found)

        async def _work(self, what: str) -> None:
            async with asyncio.timeout(10):
                while database.engine.pool.checkedout() > before:  # noqa: ASYNC110 - a pool sets no event
                    await asyncio.sleep(0.005)
            worked.append(what)

    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    use_desk(answers=Slow())
    await suggestions(agent, ticket)
    assert worked == ["understand", "write"]


async def test_suggestions_are_the_staffs(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    assert (await customer.client.get(f"{PATH}/{ticket['id']}/suggestions")).status_code == 404
    unknown = await agent.client.get(f"{PATH}/{uuid4()}/suggestions")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "ticket_not_found")
    assert (
        await agent.client.get(f"{PATH}/{ticket['id']}/suggestions", params={"limit": 21})
    ).status_code == 400


async def test_search_finds_by_meaning_and_shows_customers_only_their_own(caller, open_ticket, vectors, word):
    customer, stranger, agent = await caller(), await caller(), await caller("agent")
    colleague = await caller(account_id=customer.account_id)
    overseer = await caller(account_id=customer.account_id, sees_account=True)
    ticket = await open_ticket(
        customer,
        subject=f"I cannot sign in {word}",
        description=f"{'Something long before it. ' * 20} My password is refused on the login page.",
        product=f"Portal {word}",
    )
    noise = await open_ticket(customer, subject=f"Paper jam {word}", description="The printer eats paper.")
    await vectors.sweep()

    async def found(by: Any, q: str, **params: Any) -> list[str]:
        response = await by.client.get(f"{PATH}/search", params={"q": q, **params})
        assert response.status_code == 200, response.text
        return [each["ticket"]["id"] for each in response.json()["items"]]

    assert (await found(customer, "authentication trouble"))[0] == ticket["id"]
    assert (await found(overseer, "authentication trouble"))[0] == ticket["id"]
    assert await found(stranger, f"sign in {word}") == []
    assert await found(colleague, f"sign in {word}") == []
    assert (await found(agent, f"sign in {word}"))[0] == ticket["id"]
    assert await found(agent, word, product=f"Portal {word}") == [ticket["id"]]
    assert ticket["id"] not in await found(agent, word, status="solved")
    assert set((await found(agent, word))[:2]) == {ticket["id"], noise["id"]}
    assert len(await found(agent, word, limit=1)) == 1
    hit = (await agent.client.get(f"{PATH}/search", params={"q": "login page"})).json()["items"][0]
    assert "login page" in hit["excerpt"]
    assert len(hit["excerpt"]) < 245
    refused = await customer.client.get(f"{PATH}/search", params={"q": word, "tag": "vip"})
    assert (refused.status_code, refused.json()["fields"]) == (403, ["tag"])
    for wrong in ("", "x" * 201):
        assert (await agent.client.get(f"{PATH}/search", params={"q": wrong})).status_code == 400
    for odd in ("\0", "!!!", "()", "' or 1=1 --", '"', "ü" * 200, "🜁"):
        assert (await agent.client.get(f"{PATH}/search", params={"q": odd})).status_code in (200, 400)


async def test_who_is_added_to_a_ticket_finds_it_from_then_on(caller, open_ticket, database, word):
    from app import conversations
    from app.conversations.constants import ParticipantRole

    customer, watcher, agent = await caller(), await caller(), await caller("agent")
    ticket = await open_ticket(customer, subject=f"Gate {word} stuck")
    params = {"q": f"gate {word}"}
    assert (await watcher.client.get(f"{PATH}/search", params=params)).json()["items"] == []
    async with database.session() as session:
        subject = changes.subject_of(UUID(ticket["id"]))
        conversation = await conversations.get(session, subject, principal=agent.principal)
        await conversations.participants.add(
            session,
            conversation,
            actor=agent.principal,
            role=ParticipantRole.watcher,
            person_id=watcher.person_id,
        )
    found = (await watcher.client.get(f"{PATH}/search", params=params)).json()["items"]
    assert [each["ticket"]["id"] for each in found] == [ticket["id"]]


async def test_before_a_ticket_is_opened_only_the_callers_own_are_offered(caller, open_ticket, vectors, word):
    customer, stranger, agent = await caller(), await caller(), await caller("agent")
    said = {
        "subject": f"{word} scanner is offline",
        "description": f"The {word} scanner in the warehouse is offline since this morning.",
    }
    ticket = await open_ticket(customer, **said)
    await vectors.sweep()
    for by, expected in ((customer, [ticket["id"]]), (stranger, []), (agent, [ticket["id"]])):
        asked = await by.client.post(f"{PATH}/similar", json=said)
        assert asked.status_code == 200, asked.text
        assert [each["id"] for each in asked.json()["duplicates"]] == expected
    other = {"subject": "Invoice", "description": "Where is my invoice of last month?"}
    assert (await customer.client.post(f"{PATH}/similar", json=other)).json()["duplicates"] == []
    async with vectors._database.session() as session:
        stored = await session.scalar(
            text("select count(*) from ticket where subject = :subject"), {"subject": said["subject"]}
        )
    assert stored == 1


async def test_a_changed_text_is_what_is_found(caller, open_ticket, word):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer, subject=f"Alpha {word}")
    await agent.client.patch(f"{PATH}/{ticket['id']}", json={"subject": f"Omega {word}"})

    async def found(q: str) -> list[str]:
        items = (await agent.client.get(f"{PATH}/search", params={"q": q})).json()["items"]
        return [each["ticket"]["subject"] for each in items]

    assert (await found(f"omega {word}"))[0] == f"Omega {word}"
    assert f"Alpha {word}" not in await found(f"alpha {word}")


async def test_what_nobody_indexed_is_indexed_by_the_backfill_once(caller, open_ticket, database, word):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer, subject=f"Old {word}")
    async with database.session() as session:
        await session.execute(text("delete from matchable where id = :id"), {"id": ticket["id"]})

    async def is_found() -> bool:
        items = (await agent.client.get(f"{PATH}/search", params={"q": f"old {word}"})).json()["items"]
        return ticket["id"] in {each["ticket"]["id"] for each in items}

    assert not await is_found()
    assert await backfill(database) >= 1
    assert await is_found()
    assert await backfill(database) == 0


async def test_the_backfill_leaves_merged_tickets_alone(caller, open_ticket, database, app, word):
    customer = await caller()
    ticket, target = await open_ticket(customer, subject=f"Gone {word}"), await open_ticket(customer)
    async with database.session() as session:
        locked = await changes.lock(session, UUID(ticket["id"]), principal=SYSTEM)
        values = {"status": "merged", "merged_into_id": UUID(target["id"])}
        locked = await changes.change(session, locked, values, actor=SYSTEM)
        await indexing.changed(session, app.state.technical, locked)
    await backfill(database)
    async with database.session() as session:
        left = await session.scalar(
            text("select count(*) from matchable where id = :id"), {"id": ticket["id"]}
        )
    assert left == 0
