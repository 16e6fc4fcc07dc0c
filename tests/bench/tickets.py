"""Tickets of a desk of some size, made from real texts, the same for the same seed.

Subjects and first messages are those of IT tickets and of reported issues, answers are passages of product
documentation, customers' replies short requests. 5,000 people of 800 accounts, 24 agents in 6 teams, two
years; a few of a hundred are not finished, the newest mostly; one in eight tells a stack trace or a code.
"""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

SEED = 42
PEOPLE = 5_000
ACCOUNTS = 800
AGENTS = 24
TEAMS = ("First line", "Second line", "Billing systems", "Mobile", "Network", "Data")
PRODUCTS = ("Exporter", "Console", "Agent", "Mobile", "Gateway", "Reports", "Scheduler", "Directory")
COMPONENTS = ("CSV", "Login", "Sync", "Search", "Charts", "Alerts", "API", "Storage")
TAGS = tuple(
    f"{kind}-{number}" for kind in ("feature", "area", "cause", "plan", "region") for number in range(40)
)
ENVIRONMENTS = ("Firefox 142 on Ubuntu 24.04", "Chrome 141 on Windows 11", "Safari on macOS 16", "iOS 19")
NEWEST = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 730
THREAD = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
THREAD_WEIGHTS = (12, 18, 19, 15, 11, 8, 6, 4, 3, 2, 1, 1)  # 4.0 messages in the mean
UNFINISHED = ("new", "open", "pending", "on_hold")
EXCEPTIONS = (
    "NullPointerException",
    "TimeoutError",
    "KeyError",
    "IllegalStateException",
    "ConnectionResetError",
)
FUNCTIONS = ("Cart.total", "Sync.pull", "Report.render", "Export.write", "Session.renew", "Index.merge")


@dataclass(frozen=True)
class Texts:
    """What the tickets are made of."""

    openings: list[tuple[str, str]]  # (subject, text)
    answers: list[str]
    replies: list[str]


def read_texts(data: Path) -> Texts:
    """From ``data/scale`` and ``data/triage``."""
    openings = [(each["text"][:90], each["text"]) for each in _lines(data / "triage" / "it_tickets.jsonl")]
    openings += [
        (each.get("title") or each["text"][:90], each["text"][:6000])
        for each in _lines(data / "triage" / "nlbse2024_issues.jsonl")
    ]
    replies = [each["text"] for each in _lines(data / "triage" / "bitext_support.jsonl")]
    with gzip.open(data / "scale" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        answers = [json.loads(line)["text"] for line in islice(lines, 40_000)]
    return Texts(openings, answers, replies)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


@dataclass
class Generator:
    """Tickets, one after the other, oldest first."""

    texts: Texts
    count: int
    seed: int = SEED
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        step = timedelta(days=DAYS) / max(1, self.count)
        for number in range(self.count):
            begun = NEWEST - timedelta(days=DAYS) + step * (number + self._random.random())
            yield self._ticket(number, begun)

    def _ticket(self, number: int, begun: datetime) -> dict[str, Any]:
        pick = self._random
        person = (
            min(int(pick.paretovariate(0.9) * 60) + pick.randrange(60), PEOPLE - 1)
            if (pick.random() < 0.4)
            else pick.randrange(PEOPLE)
        )
        subject, text = pick.choice(self.texts.openings)
        agent = pick.randrange(AGENTS)
        messages = self._thread(number, person, agent, self._opening(text), begun)
        last = datetime.fromisoformat(messages[-1]["created_at"])
        age = (NEWEST - last) / timedelta(days=1)
        status = self._status(age)
        ticket = {
            "id": f"T{number + 1}",
            "subject": f"{subject} ({number + 1})",
            "description": messages[0]["body"],
            "status": status,
            "priority": pick.choices(("low", "normal", "high", "urgent"), (20, 60, 15, 5))[0],
            "severity": pick.choices((None, "minor", "major", "critical"), (50, 30, 15, 5))[0],
            "product": pick.choice(PRODUCTS),
            "component": pick.choice(COMPONENTS),
            "product_version": f"{pick.randrange(1, 6)}.{pick.randrange(12)}",
            "environment": pick.choice(ENVIRONMENTS),
            "tags": sorted(set(pick.choices(TAGS, k=pick.randrange(4)))),
            "requester": person_of(person),
            "account": {"id": f"A{person % ACCOUNTS}", "name": f"Account {person % ACCOUNTS}"},
            "team": TEAMS[agent % len(TEAMS)],
            "assignee_email": agent_address(agent) if status != "new" else None,
            "created_at": begun.isoformat(),
            "updated_at": last.isoformat(),
            "comments": messages,
        }
        if status in ("solved", "closed"):
            ticket["solved_at"] = last.isoformat()
        return ticket

    def _status(self, age: float) -> str:
        """Nearly all are closed two weeks after; the unfinished are the newest, and some old ones."""
        pick = self._random.random()
        if pick < max(0.015, 0.9 * math.exp(-age / 6)):
            return self._random.choices(UNFINISHED, (15, 45, 25, 15))[0]
        return "solved" if age < 14 else "closed"

    def _opening(self, text: str) -> str:
        pick = self._random
        length = min(max(80, int(pick.lognormvariate(6.0, 0.8))), 5000)
        text = text[:length]
        if pick.random() < 0.125:
            name, functions = pick.choice(EXCEPTIONS), pick.sample(FUNCTIONS, 2)
            frames = "\n".join(f"    at {each}(Main.java:{pick.randrange(900)})" for each in functions)
            text += f"\n\n{name}: request {pick.randrange(10**6)} failed\n{frames}"
        return text

    def _thread(
        self, number: int, person: int, agent: int, opening: str, begun: datetime
    ) -> list[dict[str, Any]]:
        pick, at = self._random, begun
        made = [self._comment(f"{number}-0", opening, at, author=person_of(person))]
        for place in range(1, pick.choices(THREAD, THREAD_WEIGHTS)[0]):
            at = min(at + timedelta(hours=pick.lognormvariate(1.5, 1.2)), NEWEST)
            staff = place % 2 == 1 or pick.random() < 0.2
            if staff:
                body = " ".join(pick.choices(self.texts.answers, k=pick.randrange(1, 4)))
                author = {"email": agent_address(agent), "name": f"Agent {agent}"}
            else:
                body = " ".join(pick.choices(self.texts.replies, k=pick.randrange(1, 4)))
                author = person_of(person)
            comment = self._comment(f"{number}-{place}", body, at, author=author)
            comment["public"] = not (staff and pick.random() < 0.15)
            made.append(comment)
        return made

    def _comment(self, identity: str, body: str, at: datetime, *, author: dict[str, Any]) -> dict[str, Any]:
        return {"id": identity, "body": body, "created_at": at.isoformat(), "author": author, "public": True}


def person_of(number: int) -> dict[str, Any]:
    """A customer, as the export names them."""
    return {"id": f"P{number}", "name": f"Person {number}", "email": f"person{number}@customers.example"}


def agent_address(number: int) -> str:
    """Of a member of the staff."""
    return f"agent{number}@desk.example"


def write_files(generator: Generator, folder: Path, *, limit: int) -> list[Path]:
    """JSON lines, in files of ``limit`` bytes at most."""
    paths: list[Path] = []
    out, size = None, limit
    for ticket in generator:
        line = json.dumps(ticket, ensure_ascii=False).encode() + b"\n"
        if out is None or size + len(line) > limit:
            if out is not None:
                out.close()
            paths.append(folder / f"tickets-{len(paths) + 1}.jsonl")
            out, size = paths[-1].open("wb"), 0
        out.write(line)
        size += len(line)
    if out is not None:
        out.close()
    return paths
