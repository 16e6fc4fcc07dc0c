"""Similar requests while typing: ``python -m tests.bench.bench_similar DATA [COUNT]``

DATA is a folder with ``triage`` and ``scale``. Requests are IT tickets and reported issues on one public
board; what is typed is the rest of them, which the board has not. A real server answers one client, then
four at once, over HTTP, embedding each question with the local model. Prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from app import matching
from app.config import Settings
from app.database import Database, create_engine
from app.features.constants import BODY_MAX
from app.features.models import Board, Request
from app.features.service import clusters, likeness
from app.identity import Role
from app.identity import service as identity
from app.main import create_app, features_desk
from app.matching import Vectors
from app.rag.runtime import open_rag
from app.setup import bring_up_to_date
from tests.bench.tickets import SEED, read_texts
from tests.live import serve

ASKED, WARM_UP, AT_ONCE, SLICE = 300, 20, 4, 1_000
SIMILAR, SEARCH = "/v1/features/requests/similar", "/v1/features/requests/search"
VACUUM = ("feature_request", "matchable", "matchable_embedding", "matchable_lexeme", "matchable_pending")
Text = tuple[str, str]  # title and body


class Call(NamedTuple):
    """One request of the client; with a body it is a POST."""

    path: str
    body: str | None = None


def texts(data: Path, count: int) -> tuple[list[Text], list[Text]]:
    """What the board has, and what is typed; no two with one title."""
    found = {title.strip(): body for title, body in read_texts(data).openings if title.strip()}
    mixed = [(title[:200], body.replace("\0", "")[:BODY_MAX]) for title, body in found.items()]
    random.Random(SEED).shuffle(mixed)
    return mixed[:count], mixed[count:]


async def load(database: Database, settings: Settings, rows: Sequence[Text]) -> dict[str, str]:
    """Requests, their words and vectors, a database at rest; keys by role. Prints how long it took."""
    await bring_up_to_date(settings, database)
    started = time.perf_counter()
    async with database.session() as session:
        board = Board(slug="bench", name="Bench", visibility="public")
        session.add(board)
        await session.flush()
        board_id = board.id
    for start in range(0, len(rows), SLICE):
        await _store(database, board_id, rows[start : start + SLICE])
    stored = time.perf_counter()
    async with open_rag(settings, database) as rag:
        await Vectors(database, rag.embeds).sweep()
        embedded = time.perf_counter()
        print(f"{len(rows):,} stored in {stored - started:.1f} s, embedded in {embedded - stored:.0f} s")
        await _rest(database)
        started = time.perf_counter()
        found = await clusters.refresh(database, features_desk(settings, rag))
        print(f"the nightly search: {found} clusters in {time.perf_counter() - started:.0f} s")
    keys = {}
    async with database.session() as session:
        for role in (Role.agent, Role.customer):
            name = role.name
            person = await identity.upsert_person(
                session, name, name=name, email=f"{name}@bench.example", role=role
            )
            _, keys[name] = await identity.create_key(session, name=name, role=role, person_id=person.id)
    return keys | {"board": str(board_id)}


async def _store(database: Database, board_id: UUID, rows: Sequence[Text]) -> None:
    values = [
        {"id": uuid4(), "board_id": board_id, "title": title, "body": body, "origin": "import"}
        for title, body in rows
    ]
    statement = insert(Request).returning(Request)
    async with database.session() as session:
        made = (await session.scalars(statement, values)).all()
        await session.execute(
            text("update feature_request set approved_at = now() where approved_at is null")
        )
        await matching.index_many(session, map(likeness.entry, made))


async def _rest(database: Database) -> None:
    """What autovacuum does within minutes; the figures are of a database at rest."""
    async with database.session() as session:
        await matching.fold_statistics(session, least=0)
    owner = create_engine(database.dsn("owner"), command_timeout=None)
    async with owner.connect() as connection:
        resting = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await resting.execute(text(f"vacuum (analyze) {', '.join(VACUUM)}"))
    await owner.dispose()


def questions(typed: Sequence[Text], keys: dict[str, str]) -> dict[str, tuple[str, list[Call]]]:
    """(key, calls) of each kind."""
    pick = random.Random(SEED)
    chosen = [pick.choice(typed) for _ in range(ASKED + WARM_UP)]

    def similar(words: int | None, *, body: int = 0, **given: Any) -> list[Call]:
        asked = []
        for title, whole in chosen:
            typing = {"title": " ".join(title.split()[:words]), "body": " ".join(whole.split()[:body])}
            asked.append(Call(SIMILAR, json.dumps(typing | given)))
        return asked

    agent, customer = keys["agent"], keys["customer"]
    return {
        "staff, three words": (agent, similar(3)),
        "staff, a title": (agent, similar(None)),
        "customer, three words": (customer, similar(3)),
        "customer, a title": (customer, similar(None)),
        "customer, a title, on the board": (customer, similar(None, board_id=keys["board"])),
        "customer, a title and 200 words": (customer, similar(None, body=200)),
        "customer, search of a list": (
            customer,
            [Call(f"{SEARCH}?q={quote(' '.join(title.split()[:3]))}") for title, _ in chosen],
        ),
    }


def ask(url: str, key: str, calls: Sequence[Call]) -> tuple[list[float], int]:
    """(milliseconds of each, how many were not answered with 200), on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    took, refused = [], 0
    for call in calls:
        started = time.perf_counter()
        connection.request("GET" if call.body is None else "POST", call.path, call.body, headers)
        response = connection.getresponse()
        response.read()
        took.append((time.perf_counter() - started) * 1000)
        refused += response.status != 200
    return took, refused


def client(url: str, plan: Path) -> None:
    """The process that asks: each kind alone, then what customers type, several at once; prints."""
    asked = {
        name: (key, [Call(*each) for each in calls])
        for name, (key, calls) in json.loads(plan.read_text()).items()
    }
    for name, (key, calls) in asked.items():
        took, refused = ask(url, key, calls)
        _show(name, took[WARM_UP:], refused)
    key, calls = asked["customer, a title"]
    with ThreadPoolExecutor(AT_ONCE) as clients:
        parts = [calls[number::AT_ONCE] for number in range(AT_ONCE)]
        answers = list(clients.map(lambda part: ask(url, key, part), parts))
    took = [each for times, _ in answers for each in times]
    _show(f"customer, a title, {AT_ONCE} at once", took, sum(refused for _, refused in answers))


def _show(name: str, took: Sequence[float], refused: int) -> None:
    cut = statistics.quantiles(took, n=100)
    said = f"   {refused} not answered" if refused else ""
    print(f"{name:34} p50 {cut[49]:6.1f} ms   p95 {cut[94]:6.1f} ms{said}")


def main() -> None:
    """Load, serve, ask from another process, print."""
    if "--client" in sys.argv:
        client(sys.argv[-2], Path(sys.argv[-1]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder),
            worker_in_server=False,
            sample_company=False,
            log_level="WARNING",
            rate_limit_per_minute=0,
        )
        rows, typed = texts(arguments.data, arguments.count)
        if not typed:
            sys.exit(f"{len(rows)} texts are there: ask for fewer, some are typed")
        keys = asyncio.run(_prepare(settings, rows))
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps(questions(typed, keys)))
        command = [sys.executable, "-m", "tests.bench.bench_similar", "--client"]
        with serve(create_app(settings)) as url:
            subprocess.run([*command, url, str(plan)], check=True, timeout=3600)
    print("load of the machine:", " ".join(f"{each:.1f}" for each in os.getloadavg()))


async def _prepare(settings: Settings, rows: Sequence[Text]) -> dict[str, str]:
    database = Database(settings)
    await database.start()
    try:
        return await load(database, settings, rows)
    finally:
        await database.stop()


if __name__ == "__main__":
    main()
