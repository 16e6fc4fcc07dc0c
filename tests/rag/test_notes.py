"""Resolution notes: one passage each, in the index with the commit, for those they were reviewed for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text

from app.database import Database
from app.exceptions import NotFoundError, UnavailableError, UnprocessableError
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.identity import service as identity
from app.rag.constants import DocumentStatus
from app.rag.desk import DeskAnswers
from app.rag.models import Chunk, Collection, Document
from app.rag.runtime import Rag
from app.rag.service import documents
from app.rag.service.notes import COLLECTION
from app.rag.service.personal import RAG_DATA
from tests.rag.cases import AGENT, Case
from tests.rag.library import Library, assert_statistics_exact

Client = Callable[[str], httpx.AsyncClient]
DELETED_TOGETHER = ("document", "document_version", "chunk", "chunk_embedding", "resolution_note")


@pytest.fixture
def case(database: Database, rag: Rag, unique: str) -> Case:
    """A solved case that nothing is known of yet."""
    return Case(database, DeskAnswers(lambda: rag), f"zib{unique.replace('-', '')}")


async def count(database: Database, table: str, document_id: UUID) -> int:
    """Rows of a document."""
    column = {"document": "id"}.get(table, "document_id")
    where = f"{column} = :id"
    if table == "chunk_embedding":
        where = "chunk_id in (select id from chunk where document_id = :id)"
    async with database.session() as session:
        found = await session.scalar(text(f"select count(*) from {table} where {where}"), {"id": document_id})
        return int(found or 0)


async def told(database: Database, document_id: UUID) -> list[Any]:
    """(type, before, after) of a document's events, oldest first."""
    async with database.session() as session:
        rows = await session.execute(
            text("select type, before, after from event where subject_id = :id order by id"),
            {"id": document_id},
        )
        return [tuple(row) for row in rows]


async def words_of(client: httpx.AsyncClient, case: Case, *, chats: bool = True) -> dict[str, str]:
    """What each way to the documents tells the client when asked about the case."""
    ask = {"question": case.question}
    stream = {"Accept": "text/event-stream"}
    ways = {
        "list": await client.get("/v1/rag/documents", params={"q": case.word}),
        "search": await client.post("/v1/rag/search", json={"query": case.question}),
        "answer": await client.post("/v1/rag/answers", json=ask),
        "stream": await client.post("/v1/rag/answers", json=ask, headers=stream),
    }
    if chats:
        chat = (await client.post("/v1/rag/chats", json={})).json()["id"]
        ways["chat"] = await client.post(f"/v1/rag/chats/{chat}/messages", json=ask)
    assert all(each.is_success for each in ways.values())
    # A question is repeated to who asked it, and tells them nothing.
    return {way: response.text.replace(case.question, "") for way, response in ways.items()}


async def knows(client: httpx.AsyncClient, case: Case) -> set[bool]:
    return {case.word in said for said in (await words_of(client, case)).values()}


async def a_customer(database: Database, name: str) -> tuple[Principal, str]:
    """Of an account of their own, with a key."""
    async with database.session() as session:
        account = await identity.upsert_account(session, f"{name} account", f"{name} account")
        person = await identity.upsert_person(
            session, name, name=name, account_id=account.id, role=Role.customer
        )
        _, key = await identity.create_key(session, name=name, role=Role.customer, person_id=person.id)
    principal = Principal(
        kind=PrincipalKind.api_key,
        role=Role.customer,
        person_id=person.id,
        account_id=account.id,
        name=name,
    )
    return principal, key


def with_key(client: httpx.AsyncClient, key: str) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {key}"
    return client


async def withdraw_and_fail(case: Case) -> None:
    async with case.database.session() as session:
        assert await case.answers.withdraw(session, case.thread, actor=SYSTEM)
        await case.answers.review(session, case.thread, audience="public", actor=SYSTEM)


async def test_staff_find_a_note_the_moment_it_is_committed_and_customers_after_review(
    case: Case, as_role: Client
) -> None:
    document_id = await case.publish()  # no job has run: there is no vector yet
    assert await count(case.database, "chunk_embedding", document_id) == 0
    async with as_role("agent") as agent, as_role("customer") as customer:
        assert await knows(agent, case) == {True}
        assert await knows(customer, case) == {False}
        text_of_it = f"/v1/rag/documents/{document_id}/text"
        assert (await customer.get(f"/v1/rag/documents/{document_id}")).status_code == 404
        assert (await customer.get(text_of_it)).status_code == 404
        await case.review("customers")
        assert await knows(customer, case) == {True}
        assert (await customer.get(text_of_it)).status_code == 200
        await case.review("staff")
        assert await knows(customer, case) == {False}
        assert (await customer.get(text_of_it)).status_code == 404


async def test_a_note_for_one_account_is_for_nobody_else(
    case: Case, client: httpx.AsyncClient, unique: str, as_role: Client
) -> None:
    one, key = await a_customer(case.database, f"{unique}-one")
    await case.publish()
    await case.review(f"account:{one.account_id}")
    assert await knows(with_key(client, key), case) == {True}
    _, other = await a_customer(case.database, f"{unique}-two")
    assert await knows(with_key(client, other), case) == {False}
    async with as_role("agent") as agent:
        assert await knows(agent, case) == {True}


async def test_a_note_is_one_passage_with_its_vector_after_its_job(case: Case, library: Library) -> None:
    document_id = await case.publish(product="Reports", component="Exporter", product_version="4.2")
    (before,) = await library.chunks(document_id)
    document = await case.ready(library)
    (after,) = await library.chunks(document_id)
    assert (before.id, before.hash, before.text) == (after.id, after.hash, after.text)
    assert len(await library.vectors(document_id)) == 1
    assert document.status == DocumentStatus.READY
    async with case.database.session() as session:
        _, _, stored = await documents.read_text(session, document_id, version=1, principal=SYSTEM)
    assert stored[after.span_start : after.span_end] == after.text
    assert after.text.split("\n\n") == [
        "Component: Exporter",
        "Problem",
        case.note().problem,
        "Solution",
        case.note().solution,
    ]
    assert after.header == f"TEC-42: {case.note().title} | Reports | 4.2"


async def test_a_note_stays_one_passage_when_its_title_or_product_is_changed(
    case: Case, library: Library, as_role: Client
) -> None:
    sentences = " ".join(f"Step {n} of the {case.word} repair takes a minute." for n in range(60))
    document_id = await case.publish(problem=sentences, solution=sentences)
    async with as_role("agent") as agent:
        changed = await agent.patch(f"/v1/rag/documents/{document_id}", json={"product": "Reports"})
        assert changed.status_code == 200, changed.text
    await case.ready(library)
    (chunk,) = await library.chunks(document_id)
    assert chunk.version == 2
    assert chunk.header.endswith("| Reports")


async def test_an_answer_cites_the_solution_to_the_letter(
    case: Case, library: Library, as_role: Client
) -> None:
    await case.publish()
    await case.review("public")
    await case.ready(library)
    async with as_role("customer") as customer:
        answer = (await customer.post("/v1/rag/answers", json={"question": case.question})).json()
        assert "to 120 seconds" in answer["text"]
        assert "stops after a minute" not in answer["text"]  # the problem is no answer
        cited = next(each for each in answer["citations"] if "120 seconds" in each["quote"])
        assert cited["title"] == f"TEC-42: {case.note().title}"
        path = f"/v1/rag/documents/{cited['document_id']}/text"
        stored = (await customer.get(path, params={"version": cited["version"]})).json()["text"]
    assert stored[cited["start"] : cited["end"]] == cited["quote"]


async def test_a_customer_of_another_account_sees_of_a_reviewed_note_only_what_it_says(
    case: Case, library: Library, client: httpx.AsyncClient, unique: str
) -> None:
    requester, _ = await a_customer(case.database, f"{unique}-requester")
    case.actor = requester  # who solved the case themselves
    document_id = await case.publish()
    case.actor = AGENT
    await case.review("customers")
    await case.ready(library)
    _, key = await a_customer(case.database, f"{unique}-stranger")
    reader = with_key(client, key)
    said = await words_of(reader, case)
    for path in ("", "/text"):
        said[path] = (await reader.get(f"/v1/rag/documents/{document_id}{path}")).text
    said["events"] = (await reader.get("/v1/events", params={"limit": 100})).text
    assert all(case.word in text for way, text in said.items() if way != "events")
    for secret in (requester.name, requester.person_id, requester.account_id, case.thread.id):
        assert not any(str(secret) in each for each in said.values()), secret


async def test_a_customer_who_solves_a_case_is_not_the_owner_of_its_note(case: Case, unique: str) -> None:
    case.actor, _ = await a_customer(case.database, f"{unique}-requester")
    await case.publish()
    assert case.actor.person_id is not None
    async with case.database.session() as session:
        exported = await RAG_DATA.export(session, case.actor.person_id)
    assert exported["documents"] == []


async def test_a_withdrawn_note_is_gone_with_the_commit_and_stays_when_it_is_rolled_back(
    case: Case, library: Library, as_role: Client
) -> None:
    document_id = await case.publish()
    await case.review("customers")
    await case.ready(library)
    with pytest.raises(NotFoundError):
        await withdraw_and_fail(case)
    async with as_role("agent") as agent, as_role("customer") as customer:
        assert await knows(agent, case) == {True}
        assert await knows(customer, case) == {True}
        answer = (await customer.post("/v1/rag/answers", json={"question": case.question})).json()
        assert document_id in {UUID(each["document_id"]) for each in answer["citations"]}
        assert await case.withdraw() is True
        for client in (agent, customer):
            assert await knows(client, case) == {False}
            for path in ("", "/text", "/text?version=1"):
                assert (await client.get(f"/v1/rag/documents/{document_id}{path}")).status_code == 404
        kept = (await customer.get(f"/v1/rag/answers/{answer['id']}")).json()
    assert (kept["reason"], kept["citations"]) == ("sources_unavailable", [])
    assert "120 seconds" not in kept["text"]
    for table in DELETED_TOGETHER:
        assert await count(case.database, table, document_id) == 0, table
    assert await case.withdraw() is False
    assert await case.published() is None
    await assert_statistics_exact(case.database)


async def test_the_events_of_a_withdrawn_note_keep_that_it_was_and_not_what_it_was_called(case: Case) -> None:
    document_id = await case.publish()
    await case.review("customers")
    created, reviewed = await told(case.database, document_id)
    assert created[0] == "document.created"
    assert created[2]["title"].startswith("TEC-42: ")
    assert reviewed == ("document.updated", {"audience": "staff"}, {"audience": "customers"})
    await case.withdraw()
    events = await told(case.database, document_id)
    assert [each[0] for each in events] == ["document.created", "document.updated", "document.deleted"]
    assert not any(case.word in str(each) for each in events)


async def everywhere(database: Database, word: str) -> set[str]:
    """Columns of the whole database in which a word stands, as text or as bytes."""
    columns = text(
        "select table_name, column_name from information_schema.columns where table_schema = 'public'"
        " and data_type in ('text', 'character varying', 'jsonb', 'json', 'tsvector', 'bytea', 'ARRAY')"
        " and table_name in (select tablename from pg_tables where tableowner <> 'postgres')"
    )
    found = set()
    async with database.session() as session:
        for table, column in (await session.execute(columns)).all():
            shown = f'"{column}"::text'
            asked = f'select count(*) from "{table}" where {shown} ilike :word or {shown} ilike :bytes'
            values = {"word": f"%{word}%", "bytes": f"%{word.encode().hex()}%"}
            if await session.scalar(text(asked), values):
                found.add(f"{table}.{column}")
    return found


async def test_no_word_of_a_withdrawn_note_stays_anywhere_in_the_database(
    case: Case, library: Library, as_role: Client
) -> None:
    secret = f"quux{case.word}"
    await case.publish(solution=f"Set the {secret} timeout of the proxy to 120 seconds.")
    await case.review("customers", solution=f"Set the {secret} timeout of the proxy to 130 seconds.")
    await case.ready(library)
    async with as_role("customer") as customer:
        answer = (await customer.post("/v1/rag/answers", json={"question": case.question})).json()
        assert secret in answer["text"]
        strange = {"question": f"Which volcano of {case.word} erupted in Iceland in 1783?"}
        named = (await customer.post("/v1/rag/answers", json=strange)).json()
        assert (named["outcome"], case.note().title in named["text"]) == ("abstained", True)
        before = await everywhere(case.database, secret)
        assert {"chunk.text", "document_version.content", "answer.citations"} <= before
        await case.withdraw()
        kept = (await customer.get(f"/v1/rag/answers/{answer['id']}")).json()
        assert (kept["reason"], kept["citations"]) == ("sources_unavailable", [])
    # How many passages have a word is counted apart from all others; it is folded away in time.
    assert await everywhere(case.database, secret) <= {"lexeme_delta.lexeme", "lexeme_statistic.lexeme"}
    assert await everywhere(case.database, case.note().title) == set()


async def test_a_withdrawn_note_can_be_published_again(case: Case, as_role: Client) -> None:
    first = await case.publish()
    await case.review("public")
    await case.withdraw()
    second = await case.publish()
    assert first != second
    async with as_role("agent") as agent, as_role("customer") as customer:
        assert await knows(agent, case) == {True}
        assert await knows(customer, case) == {False}


async def test_both_in_one_transaction_is_as_good(case: Case) -> None:
    async with case.database.session() as session:
        first = await case.answers.publish(session, case.note(), actor=SYSTEM)
        await case.answers.withdraw(session, case.thread, actor=SYSTEM)
        second = await case.answers.publish(session, case.note(), actor=SYSTEM)
    note = await case.published()
    assert note is not None
    assert note.document_id == second != first


async def test_the_same_note_again_changes_nothing_and_keeps_review_and_edits(
    case: Case, library: Library
) -> None:
    document_id = await case.publish()
    await case.review("customers", solution=f"Ask us to raise the {case.word} timeout.")
    await case.ready(library)
    before, events = await case.published(), await told(case.database, document_id)
    assert await case.publish() == document_id
    assert await case.published() == before
    assert await told(case.database, document_id) == events
    assert before is not None
    assert (before.audience, before.solution) == ("customers", f"Ask us to raise the {case.word} timeout.")
    assert "queued" not in (await library.read(document_id)).status


async def test_a_note_with_another_text_is_for_staff_until_it_is_reviewed_again(
    case: Case, library: Library, as_role: Client
) -> None:
    document_id = await case.publish()
    await case.review("public")
    async with as_role("customer") as customer, as_role("agent") as agent:
        assert await knows(customer, case) == {True}
        again = await case.publish(solution=f"Buy a second {case.word} proxy for 900 euros.")
        assert again == document_id
        assert await knows(customer, case) == {False}
        found = (await words_of(agent, case, chats=False))["search"]
        assert f"Buy a second {case.word} proxy" in found
        assert f"Set the timeout of the {case.word} proxy" not in found
    (chunk,) = await library.chunks(document_id)
    assert (chunk.version, chunk.audience) == (2, ["staff"])
    await assert_statistics_exact(case.database)


async def test_what_a_reviewer_took_out_is_never_told_to_customers(
    case: Case, library: Library, as_role: Client
) -> None:
    document_id = await case.publish(solution=f"Ring Ms {case.word}son about the proxy.")
    await case.review("public", title=f"{case.word} fails", solution=f"Ring us about the {case.word} proxy.")
    async with as_role("customer") as customer, as_role("agent") as agent:
        said = await words_of(customer, case, chats=False)
        assert f"Ring us about the {case.word}" in said["search"]
        assert not any(f"{case.word}son" in each for each in said.values())
        assert not any(f"TEC-42: Export of the {case.word}" in each for each in said.values())
        first = f"/v1/rag/documents/{document_id}/text?version=1"
        assert (await customer.get(first)).status_code == 404
        assert f"{case.word}son" in (await agent.get(first)).text
    await case.ready(library)
    (chunk,) = await library.chunks(document_id)
    assert chunk.audience == ["public"]
    assert len(await library.vectors(document_id)) == 1


async def test_cards_and_characters_that_nobody_sees_are_not_kept(case: Case) -> None:
    card = "4111 1111 1111 1111"
    document_id = await case.publish(
        title=f"Card {card} refused\x00",
        problem=f"My\u202e card {card} was\x00 refused by the {case.word} terminal.",
        solution=f"Use another card than {card}.\udc80",
        component="Till\x00\n7",
    )
    async with case.database.session() as session:
        kept = await session.scalar(
            text(
                "select concat_ws(' ', d.title, n.problem, n.solution, n.component, v.text, c.text, c.header,"
                " convert_from(v.content, 'utf8')) from document d"
                " join resolution_note n on n.document_id = d.id join chunk c on c.document_id = d.id"
                " join document_version v on v.document_id = d.id where d.id = :id"
            ),
            {"id": document_id},
        )
    assert "ending 1111" in kept
    assert "1111 1111" not in kept
    assert "\u202e" not in kept


async def test_a_note_without_a_solution_is_refused_and_without_a_problem_is_not(
    case: Case, library: Library
) -> None:
    for blank in ("", " \n\t", "\u200b\x00"):
        with pytest.raises(UnprocessableError) as raised:
            await case.publish(solution=blank)
        assert raised.value.code == "note_without_solution"
    assert await case.published() is None
    (chunk,) = await library.chunks(await case.publish(problem=""))
    assert chunk.text == f"Solution\n\n{case.note().solution}"


async def test_a_review_needs_a_note_and_a_real_audience(case: Case) -> None:
    with pytest.raises(NotFoundError) as missing:
        await case.review()
    assert missing.value.code == "resolution_note_not_found"
    await case.publish()
    for audience in ("everybody", "", f"account:{uuid4()}", "account:", "account"):
        with pytest.raises(UnprocessableError):
            await case.review(audience)
        with pytest.raises(UnprocessableError):
            await case.review(audience, solution="Another.")
    note = await case.published()
    assert note is not None
    assert note.audience == "staff"


async def test_while_the_models_are_away_a_note_can_be_withdrawn_and_not_published(case: Case) -> None:
    await case.publish()
    case.answers = DeskAnswers(lambda: None)
    with pytest.raises(UnavailableError):
        await case.publish(title="Another")
    assert await case.withdraw() is True


async def test_many_who_publish_one_case_make_one_note_and_many_cases_one_collection(
    database: Database, rag: Rag, unique: str, clean: None
) -> None:
    answers = DeskAnswers(lambda: rag)
    same = Case(database, answers, unique)
    ids = await asyncio.gather(*(same.publish(solution=f"Way {n % 3} out.") for n in range(9)))
    assert len(set(ids)) == 1
    others = [Case(database, answers, f"{unique}x{n}") for n in range(5)]
    async with database.session() as session:
        await session.execute(text("delete from document"))
        await session.execute(text("delete from collection"))
    await asyncio.gather(*(each.publish() for each in others))
    async with database.session() as session:
        assert (
            len((await session.scalars(select(Collection).where(Collection.name == COLLECTION))).all()) == 1
        )
        assert len((await session.scalars(select(Document))).all()) == 5
        assert len((await session.scalars(select(Chunk))).all()) == 5
    await assert_statistics_exact(database)


async def test_publishing_withdrawing_reviewing_and_the_job_at_once_leave_a_whole_note_or_none(
    case: Case, library: Library
) -> None:
    async def ingest() -> None:
        if note := await case.published():
            for version in (1, 2, 3, 4):
                await library.rag.ingestor.ingest(note.document_id, version)

    async def review(n: int) -> None:
        try:
            await case.review("public" if n % 2 else "customers", solution=f"The {n}th way.")
        except NotFoundError:
            return

    for round_ in range(4):
        async with asyncio.timeout(20):
            changes = [case.publish(solution=f"Way {round_} {n} out.") for n in range(3)]
            await asyncio.gather(*changes, case.withdraw(), review(round_), ingest(), return_exceptions=False)
        note = await case.published()
        async with case.database.session() as session:
            source = f"ticket/{case.thread.id}"
            rows = (await session.scalars(select(Document).where(Document.source == source))).all()
        assert [each.id for each in rows] == ([] if note is None else [note.document_id])
        if note is not None:
            document = await case.ready(library)
            (chunk,) = await library.chunks(document.id)
            assert (chunk.version, chunk.audience) == (document.latest_version, document.audience)
            assert note.solution in chunk.text
            assert len(await library.vectors(document.id)) == 1
    await assert_statistics_exact(case.database)


DYING = """
import asyncio, sys
from uuid import UUID
from app.config import Settings
from app.database import Database
from app.parsing.isolation import IsolatedPool
from app.rag.ingest import Ingestor
from app.rag.preparation import ChunkingPlan

class Stuck:
    model, dimensions, window = "local/all-MiniLM-L6-v2-int8", 384, 256
    async def embed(self, texts):
        print("embedding", flush=True)
        await asyncio.Event().wait()

async def main():
    database = Database(Settings(database_url=sys.argv[1]))
    database.open()
    plan = ChunkingPlan(tokenizer_file=None, target=128, maximum=254)
    ingestor = Ingestor(database=database, embedder=Stuck(), model_id=1, plan=plan, pool=IsolatedPool(),
                        parse_timeout=30)
    await ingestor.ingest(UUID(sys.argv[2]), 1)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_a_job_killed_in_the_middle_leaves_a_note_that_words_find_and_the_next_run_completes(
    case: Case, library: Library, as_role: Client, tmp_path: Any
) -> None:
    document_id = await case.publish()
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        str(script),
        case.database.dsn("app"),
        str(document_id),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"embedding\n"
    process.kill()
    await process.wait()
    assert (await library.read(document_id)).status == DocumentStatus.RUNNING
    async with as_role("agent") as agent:
        assert await knows(agent, case) == {True}
    document = await case.ready(library)
    assert document.status == DocumentStatus.READY
    assert len(await library.vectors(document_id)) == 1
    await assert_statistics_exact(case.database)
