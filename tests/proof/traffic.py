"""Clients as they should be: each wants a final answer, and repeats the same request until it has it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

import httpx

# Answers that promise nothing; after all others a client knows where it stands.
COME_BACK = {
    (503, "database_unavailable"),
    (503, "service_unavailable"),
    (409, "idempotency_key_in_flight"),
    (429, "rate_limited"),
}
BEGINNING = "00000000-0000-0000-0000-000000000000"
PEOPLE = 5  # that all clients edit


class Kind(StrEnum):
    """What is made; the marker is its name."""

    PERSON = "person"
    ACCOUNT = "account"
    COLLECTION = "collection"
    DOCUMENT = "document"


PATHS = {
    Kind.PERSON: "/v1/identity/people",
    Kind.ACCOUNT: "/v1/identity/accounts",
    Kind.COLLECTION: "/v1/rag/collections",
    Kind.DOCUMENT: "/v1/rag/documents",
}


@dataclass(frozen=True)
class Promise:
    """A request with a key, and what was promised for it."""

    kind: Kind
    marker: str
    body: dict[str, str]
    status: int
    content: bytes
    id: str


@dataclass(frozen=True)
class Edit:
    """A change of a name. ``is_done``: told so, or told that it is not; None: nobody can know but the log."""

    person: str
    before: str
    marker: str
    is_done: bool | None


@dataclass
class Traffic:
    """What was sent and promised; ``chance`` decides what is asked for."""

    client: httpx.AsyncClient
    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    promises: list[Promise] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # ids of events, as the reader got them
    already_seen: set[str] = field(default_factory=set)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    all_is_quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _collection: str = ""

    @property
    def settled(self) -> int:
        """Requests that have their final answer."""
        return len(self.promises) + len(self.edits)

    async def open(self) -> None:
        """What the clients share."""
        self._collection = (await self.make(Kind.COLLECTION)).id
        self.people = [(await self.make(Kind.PERSON)).id for _ in range(PEOPLE)]

    async def run(self) -> None:
        """One client, until it is told to stop; it finishes what it has begun."""
        while not self.stopping.is_set():
            if self.chance.random() < 0.35:
                await self.edit()
            else:
                await self.make(self.chance.choice(list(Kind)))

    async def follow(self) -> None:
        """Read the log from its first event to its last, by nothing but ``after``."""
        after = BEGINNING
        while True:
            is_last = self.all_is_quiet.is_set()
            answer, _ = await self._insist(
                lambda after=after: self.client.get("/v1/events", params={"after": after, "limit": 50})
            )
            assert answer.status_code == 200, answer.text
            if items := answer.json()["items"]:
                ids = [each["id"] for each in items]
                assert not self.already_seen.intersection(ids), "an event came twice"
                self.already_seen.update(ids)
                self.seen += ids
                after = items[-1]["id"]
            elif is_last:
                return
            else:
                await asyncio.sleep(0.1)

    async def make(self, kind: Kind) -> Promise:
        """Insist on one; an impatient client has two attempts under way at once."""
        self.counts["keys"] += 1
        marker = f"{kind} {self.counts['keys']}"
        body = self._body(kind, marker)
        attempts = 2 if self.chance.random() < 0.2 else 1
        answers = await asyncio.gather(*(self.post(kind, marker, body) for _ in range(attempts)))
        first = answers[0]
        assert first.status_code == (202 if kind is Kind.DOCUMENT else 201), first.text
        for each in answers:
            assert (each.status_code, each.content) == (first.status_code, first.content), marker
        promise = Promise(kind, marker, body, first.status_code, first.content, first.json()["id"])
        self.promises.append(promise)
        return promise

    async def post(self, kind: Kind, marker: str, body: dict[str, str]) -> httpx.Response:
        headers = {"Idempotency-Key": marker}
        answer, _ = await self._insist(lambda: self.client.post(PATHS[kind], json=body, headers=headers))
        self.counts["replayed"] += "idempotency-replayed" in answer.headers
        return answer

    def _body(self, kind: Kind, marker: str) -> dict[str, str]:
        """A person or a document made twice would be two; an account or a collection would be refused."""
        match kind:
            case Kind.ACCOUNT:
                return {"name": marker, "external_id": marker}
            case Kind.DOCUMENT:
                content = f"# {marker}\n\nSeats of {marker} can be given back within fourteen days.\n"
                return {"collection_id": self._collection, "title": marker, "content": content}
        return {"name": marker}

    async def edit(self) -> None:
        """Rename a person from what they are now; often with a rival who has seen the same."""
        path = f"{PATHS[Kind.PERSON]}/{self.chance.choice(self.people)}"
        read, _ = await self._insist(lambda: self.client.get(path))
        rivals = 2 if self.chance.random() < 0.4 else 1
        await asyncio.gather(*(self._rename(path, read) for _ in range(rivals)))

    async def _rename(self, path: str, read: httpx.Response) -> None:
        self.counts["edits"] += 1
        marker = f"renamed {self.counts['edits']}"
        headers = {"If-Match": read.headers["etag"]}
        answer, was_certain = await self._insist(
            lambda: self.client.patch(path, json={"name": marker}, headers=headers)
        )
        assert answer.status_code in {200, 412}, answer.text
        is_done = True if answer.status_code == 200 else False if was_certain else None
        self.counts["overtaken"] += is_done is False
        person = read.json()
        self.edits.append(Edit(person["id"], person["name"], marker, is_done))

    async def _insist(self, send: Callable[[], Awaitable[httpx.Response]]) -> tuple[httpx.Response, bool]:
        """The final answer, and whether it is the first attempt's."""
        is_first = True
        while True:
            self.counts["requests"] += 1
            try:
                answer = await send()
            except httpx.TransportError:
                self.counts["unanswered"] += 1
            else:
                code = answer.json()["code"] if answer.status_code >= 400 else ""
                if (answer.status_code, code) not in COME_BACK:
                    return answer, is_first
                self.counts[code] += 1
            is_first = False
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))
