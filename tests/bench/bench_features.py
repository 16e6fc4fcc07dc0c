"""Similar requests while somebody types: ``python -m tests.bench.bench_features DATA [COUNT]``

10,000 requests, on a board of their own. DATA is a folder with ``triage`` and ``scale``; requests are made of
the subjects and beginnings of real issues. A real server embeds and answers for one client over HTTP, that asks with what people would have typed
of other issues' subjects: half of it, and all of it. Prints a table; ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import insert, text

from app import matching
from app.config import Settings
from app.database import Database, create_engine
from app.features.models import Board, Request
from app.features.service.likeness import entry
from app.identity import Role
from app.identity import service as identity
from app.main import create_app
from app.matching import Vectors
from app.rag.runtime import open_rag
from app.setup import bring_up_to_date
from tests.bench.tickets import Texts, read_texts
from tests.live import serve

COUNT = 10_000
ASKED = 300
WARM_UP = 20
SLICE = 1_000
BODY = 300  # characters: people ask in a few sentences
PATH = "/v1/features/requests/similar"


async def load(settings: Settings, texts: Texts, count: int) -> dict[str, str]:
    """A board with its requests, embedded and at rest; a customer's and an agent's key."""
    database = Database(settings)
    await database.start()
    try:
        await bring_up_to_date(settings, database)
        started = time.perf_counter()
        await fill(database, texts, count)
        async with open_rag(settings, database) as rag:
            await Vectors(database, rag.embeds).sweep()
        print(f"{count:,} requests stored and embedded in {time.perf_counter() - started:.0f} s")
        owner = create_engine(database.dsn("owner"), command_timeout=None)
        async with owner.connect() as connection:
            resting = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await resting.execute(text("vacuum (analyze)"))
        await owner.dispose()
        async with database.session() as session:
            keys = {}
            for role in (Role.customer, Role.agent):
                person = await identity.upsert_person(session, f"bench {role}", role=role)
                _, keys[str(role)] = await identity.create_key(
                    session, name=f"bench {role}", role=role, person_id=person.id
                )
        return keys
    finally:
        await database.stop()


async def fill(database: Database, texts: Texts, count: int) -> None:
    """Requests of one board, with what they are found by."""
    async with database.session() as session:
        made = insert(Board).values(slug="bench", name="Bench").returning(Board.id)
        board_id: UUID = (await session.execute(made)).scalar_one()
    for start in range(0, count, SLICE):
        part = texts.openings[start : min(start + SLICE, count)]
        rows = [{"board_id": board_id, "title": title, "body": body[:BODY]} for title, body in part]
        async with database.session() as session:
            statement = insert(Request).returning(Request)
            found = (await session.scalars(statement, rows)).all()
            await session.execute(text("update feature_request set approved_at = now()"))
            await matching.index_many(session, [entry(each) for each in found])
        async with database.session() as session:
            await matching.fold_statistics(session, least=0)


def ask(url: str, key: str, titles: list[str]) -> dict[str, float]:
    """Medians and 95th percentiles in milliseconds, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    took = []
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for title in titles:
        started = time.perf_counter()
        connection.request("POST", PATH, json.dumps({"title": title}), headers=headers)
        response = connection.getresponse()
        body = response.read()
        took.append((time.perf_counter() - started) * 1000)
        assert response.status == 200, body
    cut = statistics.quantiles(took[WARM_UP:], n=100)
    return {"p50": cut[49], "p95": cut[94]}


def client(url: str, plan: Path) -> None:
    """The process that asks: reads what to ask, prints the figures as JSON."""
    print(json.dumps({name: ask(url, *given) for name, given in json.loads(plan.read_text()).items()}))


def main() -> None:
    """Fill, serve, ask, print."""
    if "--client" in sys.argv:
        client(sys.argv[-2], Path(sys.argv[-1]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("count", nargs="?", type=int, default=COUNT)
    arguments = parser.parse_args()
    texts = read_texts(arguments.data)
    others = [title for title, _ in texts.openings[arguments.count :][: ASKED + WARM_UP]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            data_dir=folder / "data",
            worker_in_server=False,
            sample_company=False,
            log_level="WARNING",
            rate_limit_per_minute=0,
        )
        keys = asyncio.run(load(settings, texts, arguments.count))
        plan = {
            f"{role}, {how}": (keys[role], [each[: max(8, len(each) // cut)] for each in others])
            for role in keys
            for how, cut in (("half a title", 2), ("a title", 1))
        }
        (folder / "plan.json").write_text(json.dumps(plan))
        with serve(create_app(settings)) as url:
            command = [sys.executable, "-m", "tests.bench.bench_features", "--client", url]
            done = subprocess.run(
                [*command, str(folder / "plan.json")], check=True, capture_output=True, timeout=1800
            )
    print(f"{'':26}{'p50 ms':>9}{'p95 ms':>9}")
    for question, each in json.loads(done.stdout).items():
        print(f"{question:26}{each['p50']:9.1f}{each['p95']:9.1f}")
    print("load of the machine:", " ".join(f"{each:.1f}" for each in os.getloadavg()))


if __name__ == "__main__":
    main()
