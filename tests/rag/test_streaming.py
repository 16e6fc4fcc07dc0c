"""The answer as server-sent events: order, silence, departures and failures, with a scripted model."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import select

from app.config import Settings
from app.database import Database
from app.identity import SYSTEM
from app.main import create_app
from app.rag.answering import Answerer
from app.rag.completions.remote import OpenAICompleter
from app.rag.models import Answer
from app.rag.runtime import Rag
from app.rag.service import answers
from app.rag.streaming import Asking, with_heartbeats
from app.rag.tokens import TiktokenTokenizer
from tests.openai_server import Cut, Hang, OpenAIServer
from tests.rag.test_answers import Shelf

Client = Callable[[str], httpx.AsyncClient]
Event = tuple[str, Any]
TOKENIZER = TiktokenTokenizer("cl100k_base")
QUESTION = "How long do refunds of monthly plans take?"
DOCUMENT = (
    "# Refund policy\n\nRefunds of monthly plans are paid within 14 days of the request. "
    "The money goes back to the card that paid. Vouchers are not refunded.\n"
)
FIRST = "Refunds of monthly plans are paid within 14 days of the request [1]."
SECOND = "The money goes back to the card that paid [1]."
LIES = "Refunds of monthly plans are paid within 99 days of the request [1]."


@asynccontextmanager
async def writing(rag: Rag, model: OpenAIServer, **options: Any) -> AsyncIterator[Rag]:
    """The rag room with the scripted model as its writer."""
    patience = {"timeout": 5.0, "silence": 5.0, "retries": 0, "context_tokens": 8192} | options
    completer = OpenAICompleter(base_url=model.url, api_key="k", model="scripted", **patience)
    answerer = Answerer(
        retriever=rag.retriever,
        embedder=rag.embedder,
        completer=completer,
        tokenizer=TOKENIZER,
        rewrite_seconds=2.0,
    )
    yield replace(rag, completer=completer, answerer=answerer)
    await completer.aclose()


def read_events(body: str) -> list[Event]:
    """Events by the rules of the HTML standard: blocks of lines without comments, data joined by LF."""
    events = []
    for block in re.sub(r"\r\n?", "\n", body).split("\n\n"):
        fields = [line.partition(":")[::2] for line in block.split("\n") if line[:1] not in ("", ":")]
        data = "\n".join(value.removeprefix(" ") for name, value in fields if name == "data")
        name = next((value.removeprefix(" ") for name, value in fields if name == "event"), "message")
        if fields:
            events.append((name, json.loads(data)))
    return events


@dataclass
class Exchange:
    """A request to the app in this loop, whose reader takes what has come and may leave."""

    app: Litestar
    key: str
    path: str
    body: dict[str, Any]

    def __post_init__(self) -> None:
        self.received = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self._news = asyncio.Condition()
        self._leaving = asyncio.Event()
        self._sent = False
        self.blocked = asyncio.Event()  # a test's reader that stops reading

    async def _receive(self) -> dict[str, Any]:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": json.dumps(self.body).encode(), "more_body": False}
        await self._leaving.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        async with self._news:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            else:
                self.received += message["body"].decode()
                if not message.get("more_body"):
                    self._leaving.set()  # as servers say it once the response is whole
            self._news.notify_all()
        if self.blocked.is_set():
            await asyncio.Event().wait()

    @property
    def events(self) -> list[Event]:
        return read_events(self.received)

    async def until(self, condition: Callable[[Exchange], bool]) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: condition(self))

    def leave(self) -> None:
        self._leaving.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        headers = {
            "authorization": f"Bearer {self.key}", "accept": "text/event-stream",
            "content-type": "application/json", "accept-encoding": "gzip, br",
        }  # fmt: skip
        scope: Any = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "method": "POST",
            "path": self.path, "raw_path": self.path.encode(), "query_string": b"", "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {}, "extensions": {},
        }  # fmt: skip
        app: Any = self.app  # litestar has ASGI types of its own
        task = asyncio.ensure_future(app(scope, self._receive, self._send))
        try:
            yield task
            async with asyncio.timeout(15):
                await task
        finally:
            task.cancel()


@dataclass
class Desk:
    """The app with a scripted model, a shelf with one document, and a key."""

    app: Litestar
    model: OpenAIServer
    shelf: Shelf
    database: Database
    rag: Rag
    key: str

    def exchange(self, question: str = QUESTION) -> Exchange:
        return Exchange(self.app, self.key, "/v1/rag/answers", self.shelf.ask(question))

    async def stream(self, *steps: Any, question: str = QUESTION) -> Exchange:
        """The whole stream of one question that the model meets with ``steps``."""
        self.model.script(*steps)
        exchange = self.exchange(question)
        async with exchange.running():
            pass
        return exchange

    async def ask(self, *steps: Any, question: str = QUESTION) -> dict[str, Any]:
        """The answer in one piece."""
        self.model.script(*steps)
        transport = httpx.ASGITransport(app=self.app)  # type: ignore[arg-type]  # litestar's own ASGI types
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://t.test", headers=headers
        ) as client:
            response = await client.post("/v1/rag/answers", json=self.shelf.ask(question))
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def stored(self) -> Answer:
        """The newest answer of all."""
        async with self.database.session() as session:
            newest = select(Answer).order_by(Answer.created_at.desc()).limit(1)
            return (await session.scalars(newest)).one()


@asynccontextmanager
async def open_desk(
    settings: Settings, database: Database, rag: Rag, key: str, *, content: str = DOCUMENT, **options: Any
) -> AsyncIterator[Desk]:
    """A desk whose shelf has one document, "Refund policy"."""
    with OpenAIServer() as model:
        async with writing(rag, model, **options) as writer:
            shelf = await Shelf.make(database, rag)
            await shelf.put("Refund policy", content)
            app = create_app(settings, database=database, rag=writer)
            yield Desk(app, model, shelf, database, writer, key)


@pytest.fixture(scope="module")
async def desk(settings: Settings, database: Database, rag: Rag, keys: dict[str, str]) -> AsyncIterator[Desk]:
    """One for this module."""
    async with open_desk(settings, database, rag, keys["customer"]) as made:
        yield made


def names(events: list[Event]) -> list[str]:
    return [name for name, _ in events]


def check_order(events: list[Event]) -> dict[str, Any]:
    """The contract of a stream; returns the answer."""
    assert re.fullmatch(r"sources(?: (?:citation )?delta)* done", " ".join(names(events)))
    cited: dict[int, Any] = {}
    for name, data in events:
        if name == "citation":
            cited[data["index"]] = data["citation"]
        if name == "delta":
            assert {int(number) for number in re.findall(r"\[(\d+)\]", data["text"])} <= set(cited)
    answer = dict(events[-1][1]["answer"])
    assert "".join(data["text"] for name, data in events if name == "delta") == answer["text"]
    assert list(cited.values()) == answer["citations"]
    return answer


async def test_a_written_answer_comes_sentence_by_sentence_with_each_citation_before_its_use(
    desk: Desk,
) -> None:
    exchange = await desk.stream(f"{FIRST} {SECOND}")
    answer = check_order(exchange.events)
    assert [data["text"] for name, data in exchange.events if name == "delta"] == [
        "Refunds of monthly plans are paid within 14 days of the request. [1]",
        " The money goes back to the card that paid. [2]",
    ]
    assert (answer["model"], answer["extractive"]) == ("openai/scripted", False)
    assert exchange.status == 200
    assert exchange.headers["content-type"].startswith("text/event-stream")
    assert exchange.headers["cache-control"] == "no-store"
    assert "content-encoding" not in exchange.headers


async def test_an_extractive_answer_streams_in_the_same_order(desk: Desk, as_role: Client) -> None:
    async with as_role("customer") as client:
        response = await client.post(
            "/v1/rag/answers", json=desk.shelf.ask(QUESTION), headers={"Accept": "text/event-stream"}
        )
    assert check_order(read_events(response.text))["extractive"] is True


async def test_an_abstention_streams_its_text(desk: Desk) -> None:
    exchange = await desk.stream("NOT_FOUND")
    answer = check_order(exchange.events)
    assert (answer["outcome"], answer["reason"]) == ("abstained", "model_found_nothing")
    assert answer["model"] == "openai/scripted"


async def test_the_sources_come_first_and_are_the_passages_found(desk: Desk) -> None:
    exchange = await desk.stream(FIRST)
    name, data = exchange.events[0]
    assert name == "sources"
    assert [each["title"] for each in data["items"]] == ["Refund policy"]
    assert data["items"][0]["heading_path"] == []


async def test_a_sentence_leaves_while_the_model_still_writes_and_nothing_of_the_next_one(desk: Desk) -> None:
    desk.model.script(Hang(f"{FIRST} The money goes [1"))
    exchange = desk.exchange()
    async with exchange.running():
        await exchange.until(lambda each: "delta" in names(each.events))
        assert names(exchange.events) == ["sources", "citation", "delta"]
        assert "The money" not in str([data for name, data in exchange.events if name == "delta"])
        exchange.leave()


async def test_no_connection_is_held_while_the_model_writes_and_none_is_lost_when_the_reader_leaves(
    desk: Desk,
) -> None:
    calls, gone = len(desk.model.requests), desk.model._left
    desk.model.script(Hang(f"{FIRST} And"))
    exchange = desk.exchange()
    pool: Any = desk.database.engine.pool
    async with exchange.running():
        await exchange.until(lambda each: "delta" in names(each.events))
        assert pool.checkedout() == 0
        exchange.leave()
    assert len(desk.model.requests) == calls + 1
    await desk.model.departed(gone + 1)
    assert pool.checkedout() == 0
    stored = await desk.stored()
    assert (stored.outcome, stored.reason) == ("caveat", "reader_left")
    assert stored.text == "Refunds of monthly plans are paid within 14 days of the request. [1]"
    assert (stored.model, stored.extractive) == ("openai/scripted", False)
    assert stored.prompt_hash
    assert len(stored.citations) == 1


async def test_a_reader_who_leaves_before_the_first_sentence_leaves_a_question_without_a_claim(
    desk: Desk,
) -> None:
    calls = len(desk.model.requests)
    desk.model.script(Hang())
    exchange = desk.exchange()
    async with exchange.running():
        await desk.model.arrived(calls + 1)
        exchange.leave()
    stored = await desk.stored()
    assert (stored.outcome, stored.reason) == ("abstained", "reader_left")
    assert stored.text == "The reader left before this was answered."


async def test_a_reader_who_stops_reading_and_leaves_ends_everything_too(desk: Desk) -> None:
    gone = desk.model._left
    desk.model.script(Hang(f"{FIRST} And"))
    exchange = desk.exchange()
    async with exchange.running():
        await exchange.until(lambda each: "sources" in names(each.events))
        exchange.blocked.set()
        await exchange.until(lambda each: "citation" in names(each.events))
        exchange.leave()
    await desk.model.departed(gone + 1)
    assert (await desk.stored()).reason == "reader_left"
    assert desk.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a queue pool


async def test_heartbeats_are_comments_while_the_model_is_silent(desk: Desk) -> None:
    asking = Asking(
        database=desk.database, rag=desk.rag, principal=SYSTEM, question=QUESTION,
        collections=(desk.shelf.id,), heartbeat=0.01,
    )  # fmt: skip
    desk.model.script(Hang())
    events = asking.events(await asking.retrieve())
    seen = ""
    async for message in events:
        seen += message.encode().decode()
        if seen.count(": heartbeat") == 2:
            break
    await events.aclose()
    assert names(read_events(seen)) == ["sources"]


async def test_heartbeats_neither_lose_nor_reorder_nor_outlive_the_parts() -> None:
    gate, closed = asyncio.Event(), asyncio.Event()

    async def parts() -> AsyncIterator[Any]:
        try:
            yield 1
            await gate.wait()
            yield 2
            yield 3
        finally:
            closed.set()

    seen: list[Any] = []
    async for part in with_heartbeats(parts(), 0.001):  # type: ignore[arg-type]  # numbers for parts
        seen.append(part)
        if part is None:
            gate.set()
    assert [each for each in seen if each is not None] == [1, 2, 3]
    assert None in seen
    assert closed.is_set()


async def test_a_stream_left_between_two_parts_closes_what_makes_them() -> None:
    closed = asyncio.Event()

    async def parts() -> AsyncIterator[Any]:
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    inner: Any = parts()
    beating = with_heartbeats(inner, 1.0)
    assert await anext(beating) == 1  # type: ignore[comparison-overlap]  # numbers for parts
    await beating.aclose()
    assert closed.is_set()


async def test_an_error_after_the_start_travels_in_the_stream_as_a_problem(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(answers, "store", fail)
    exchange = await desk.stream(FIRST)
    assert names(exchange.events) == ["sources", "citation", "delta", "error"]
    problem = exchange.events[-1][1]["problem"]
    assert (problem["status"], problem["code"]) == (500, "internal_error")
    assert "secret detail" not in exchange.received


async def test_the_database_going_away_before_the_answer_is_stored_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(answers, "store", fail)
    exchange = await desk.stream(FIRST)
    assert exchange.events[-1][1]["problem"]["code"] == "database_unavailable"


@pytest.mark.parametrize(
    ("path", "body", "key", "status"),
    [
        ("/v1/rag/chats/00000000-0000-0000-0000-000000000000/messages", {"question": "x"}, None, 404),
        ("/v1/rag/answers", {"question": ""}, None, 400),
        ("/v1/rag/answers", {"question": "x"}, "wrong", 401),
    ],
)
async def test_an_error_before_the_start_is_a_normal_problem(
    desk: Desk, path: str, body: dict[str, Any], key: str | None, status: int
) -> None:
    exchange = Exchange(desk.app, key or desk.key, path, body)
    async with exchange.running():
        pass
    assert exchange.status == status
    assert exchange.headers["content-type"] == "application/problem+json"


async def test_a_stream_that_breaks_after_a_verified_sentence_keeps_it_with_a_caveat(desk: Desk) -> None:
    told = threading.Event()
    desk.model.script(Cut(f"{FIRST} The money goes back to", told))
    exchange = desk.exchange()
    async with exchange.running():
        await exchange.until(lambda each: "citation" in names(each.events))
        told.set()
    answer = check_order(exchange.events)
    assert (answer["outcome"], answer["reason"]) == ("caveat", "completion_interrupted")
    assert answer["text"] == "Refunds of monthly plans are paid within 14 days of the request. [1]"
    assert answer["extractive"] is False


async def test_a_stored_answer_of_a_model_tells_its_prompt(desk: Desk) -> None:
    answer = await desk.ask(FIRST)
    async with desk.database.session() as session:
        row = (await session.scalars(select(Answer).where(Answer.id == UUID(answer["id"])))).one()
    assert re.fullmatch(r"[0-9a-f]{64}", str(row.prompt_hash))
    assert row.model == "openai/scripted"
    assert len(row.evidence) == 1
