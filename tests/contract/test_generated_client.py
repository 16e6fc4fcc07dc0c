"""A client generated from the document by openapi-python-client, without a warning, used as a user would."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

PACKAGE = "tridesk_generated_client"
TEXT = "# Refunds\n\nA customer may ask for a refund within 14 days of the payment.\n"
READY_SECONDS = 60


@pytest.fixture(scope="module")
def generated(document, tmp_path_factory) -> SimpleNamespace:
    """The generator's output and the importable package."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [
            scripts / "openapi-python-client",
            "generate",
            *("--path", folder / "openapi.json"),
            *("--output-path", folder / PACKAGE),
            *("--meta", "none"),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"},  # ruff lies there
    )
    return SimpleNamespace(folder=folder, code=done.returncode, output=done.stdout + done.stderr)


@pytest.fixture(scope="module")
def use(generated):
    """``use("api.rag.ask")`` is that module of the generated package."""
    sys.path.insert(0, str(generated.folder))
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    sys.path.remove(str(generated.folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def agent(use, live, keys):
    with use("client").AuthenticatedClient(base_url=live, token=keys["agent"]) as client:
        yield client


def test_the_generator_has_nothing_to_say(generated):
    assert generated.code == 0, generated.output
    assert [line for line in generated.output.splitlines() if not line.startswith("Generating")] == []


def test_every_module_of_the_client_can_be_imported(generated, use):
    modules = [
        path.relative_to(generated.folder / PACKAGE) for path in (generated.folder / PACKAGE).rglob("*.py")
    ]
    assert len(modules) > 60
    for path in modules:
        use(".".join(path.with_suffix("").parts).removesuffix(".__init__"))


@pytest.fixture(scope="module")
def collection(use, agent):
    body = use("models").CollectionCreate(name=f"Client {time.monotonic_ns()}")
    made = use("api.rag.create_collection").sync(client=agent, body=body)
    assert made.name == body.name
    return made


@pytest.fixture(scope="module")
def document_(use, agent, collection):
    """A document uploaded as a file, ready to be searched."""
    models, types = use("models"), use("types")
    body = models.DocumentForm(
        collection_id=collection.id,
        file=types.File(payload=io.BytesIO(TEXT.encode()), file_name="refunds.md", mime_type="text/markdown"),
        audience="customers",
    )
    response = use("api.rag.create_document").sync_detailed(client=agent, body=body)
    assert response.status_code == 202, response.content
    assert response.headers["Location"] == f"/v1/rag/documents/{response.parsed.id}"
    return _ready(use, agent, response.parsed)


def _ready(use, agent, document):
    """The document once its ingestion has ended; polled, as a client has to."""
    deadline = time.monotonic() + READY_SECONDS
    while document.status in ("queued", "running"):
        assert time.monotonic() < deadline, document
        time.sleep(0.05)
        document = use("api.rag.get_document").sync(document.id, client=agent)
    return document


def test_an_uploaded_file_becomes_ready(document_):
    assert (document_.status, document_.progress, document_.error) == ("ready", 1.0, None)
    assert document_.filename == "refunds.md"


def test_a_text_becomes_a_document_with_the_same_call(use, agent, collection):
    body = use("models").DocumentCreate(collection_id=collection.id, title="Note", content="Short.")
    made = use("api.rag.create_document").sync(client=agent, body=body)
    assert (made.title, made.media_type, made.latest_version) == ("Note", "text/markdown", 1)


def test_a_search_finds_the_passage(use, agent, document_, collection):
    body = use("models").SearchRequest(query="refund within 14 days", collections=[collection.id])
    found = use("api.rag.search_chunks").sync(client=agent, body=body)
    assert found.items[0].document_id == document_.id
    assert "14 days" in found.items[0].text


def test_an_answer_cites_what_stands_in_the_document(use, agent, document_, collection):
    body = use("models").AnswerRequest(
        question="Within how many days may a customer ask for a refund?", collections=[collection.id]
    )
    answer = use("api.rag.ask").sync(client=agent, body=body)
    assert answer.outcome == "answered", answer
    citation = answer.citations[0]
    assert isinstance(citation, use("models").ChunkCitation)
    text = use("api.rag.get_document_text").sync(citation.document_id, client=agent, version=citation.version)
    assert text.text[citation.start : citation.end] == citation.quote

    feedback = use("models").FeedbackCreate(rating=use("models").Rating.UP)
    rated = use("api.rag.rate_answer").sync(answer.id, client=agent, body=feedback)
    assert (rated.answer_id, rated.rating) == (answer.id, "up")
    assert use("api.rag.get_answer").sync(answer.id, client=agent) == answer


def test_the_events_of_a_stream_have_the_published_schemas(use, live, keys, document_, collection):
    """`sources` first, each citation before its sentence, `done` last; and none waits for the others."""
    kinds = {
        name: use("models").__dict__[f"{name.capitalize()}Event"]
        for name in ("sources", "citation", "delta", "done")
    }
    headers = {"Authorization": f"Bearer {keys['agent']}", "Accept": "text/event-stream"}
    body = {
        "question": "Within how many days may a customer ask for a refund?",
        "collections": [str(collection.id)],
    }
    with httpx.stream("POST", f"{live}/v1/rag/answers", json=body, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in response.headers
        lines = [line for line in response.iter_lines() if line.startswith(("event:", "data:"))]
    names = [line.partition(": ")[2] for line in lines[::2]]
    events = [
        kinds[name].from_dict(json.loads(line.partition(": ")[2]))
        for name, line in zip(names, lines[1::2], strict=True)
    ]
    assert names == ["sources", "citation", "delta", "done"]
    assert events[3].answer.citations[events[1].index - 1] == events[1].citation
    assert events[2].text in events[3].answer.text


def test_a_chat_keeps_its_messages(use, agent, document_, collection):
    chat = use("api.rag.create_chat").sync(client=agent, body=use("models").ChatCreate(title="Refunds"))
    body = use("models").ChatMessageCreate(question="How long for a refund?", collections=[collection.id])
    answer = use("api.rag.ask_in_chat").sync(chat.id, client=agent, body=body)
    assert answer.chat_id == chat.id
    messages = use("api.rag.list_chat_messages").sync(chat.id, client=agent)
    assert [each.id for each in messages.items] == [answer.id]


def test_cursors_walk_through_a_list_without_a_gap(use, agent, collection):
    create, listing = use("api.rag.create_document"), use("api.rag.list_documents")
    made = {
        create.sync(
            client=agent,
            body=use("models").DocumentCreate(collection_id=collection.id, content=f"Page {number}"),
        ).id
        for number in range(5)
    }
    seen, cursor = [], use("types").UNSET
    while cursor is not None:
        page = listing.sync(client=agent, collection_id=[collection.id], limit=2, cursor=cursor)
        assert len(page.items) <= 2
        seen += [each.id for each in page.items]
        cursor = page.next_cursor
    assert len(set(seen)) == len(seen)
    assert made <= set(seen)


def test_a_lost_answer_is_asked_for_again_with_its_key(use, agent):
    create, body = use("api.rag.create_chat"), use("models").ChatCreate(title="Once")
    first, again = [
        create.sync_detailed(client=agent, body=body, idempotency_key="client-once") for _ in range(2)
    ]
    assert (again.parsed, again.headers["Idempotency-Replayed"]) == (first.parsed, "true")


def test_a_stale_version_is_a_typed_problem(use, agent, collection):
    read, write = use("api.rag.get_collection"), use("api.rag.update_collection")
    tag = read.sync_detailed(collection.id, client=agent).headers["ETag"]
    body = use("models").CollectionUpdate(description="Of the client.")
    assert write.sync(collection.id, client=agent, body=body, if_match=tag).version == 2
    problem = write.sync(collection.id, client=agent, body=body, if_match=tag)
    assert (problem.code, problem["current_version"]) == ("version_mismatch", 2)
    assert read.sync_detailed(collection.id, client=agent, if_none_match='"2"').status_code == 304


def test_what_is_not_there_is_a_typed_problem(use, agent):
    problem = use("api.rag.get_document").sync("019a0000-0000-7000-8000-000000000001", client=agent)
    assert isinstance(problem, use("models").Problem)
    assert (problem.status, problem.code) == (404, "document_not_found")


def test_a_body_that_does_not_fit_is_a_typed_problem(use, agent):
    problem = use("api.rag.search_chunks").sync(client=agent, body=use("models").SearchRequest(query=""))
    assert [each.field for each in problem.errors] == ["query"]


def test_a_document_can_be_deleted(use, agent, collection):
    body = use("models").DocumentCreate(collection_id=collection.id, content="Soon gone.")
    made = use("api.rag.create_document").sync(client=agent, body=body)
    assert use("api.rag.delete_document").sync_detailed(made.id, client=agent).status_code == 204
    assert use("api.rag.get_document").sync(made.id, client=agent).code == "document_not_found"


async def test_the_client_works_asynchronously_too(use, live, keys):
    async with use("client").AuthenticatedClient(base_url=live, token=keys["customer"]) as client:
        me, ready = await asyncio.gather(
            use("api.identity.get_me").asyncio(client=client),
            use("api.health.get_readiness").asyncio(client=client),
        )
    assert (me.role, ready.status) == ("customer", "ok")
