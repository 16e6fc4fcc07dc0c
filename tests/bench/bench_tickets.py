"""The technical desk at 100,000 tickets: ``python -m tests.bench.bench_tickets DATA [COUNT]``

DATA is a folder with ``scale`` and ``triage``. Tickets are imported by the job itself, from files as they
would be uploaded; then a real server answers one client over HTTP. Prints a table, and with ``--json`` the
figures as JSON. Ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from sqlalchemy import text

from app.config import Settings
from app.database import Database, create_engine
from app.identity import Role
from app.identity import service as identity
from app.identity.principal import SYSTEM
from app.main import create_app, technical_desk
from app.setup import bring_up_to_date
from app.technical.constants import UnknownPeople
from app.technical.models import Team, TeamMember, TicketImport
from app.technical.service.importing import Importer
from app.technical.service.importing.uploads import Upload, create
from tests.bench.tickets import AGENTS, TAGS, TEAMS, Generator, agent_address, read_texts, write_files
from tests.live import serve

ASKED = 300
WARM_UP = 20
VACUUM = ("ticket", "message", "conversation", "participant", "event", "matchable", "person")


@dataclass
class World:
    """Whom the client asks for."""

    key: str
    customer_key: str
    teams: list[str]
    agents: list[str]


async def staff(database: Database) -> World:
    """Agents in their teams, and keys for a lead and a customer."""
    async with database.session() as session:
        teams = [Team(name=name) for name in TEAMS]
        session.add_all(teams)
        await session.flush()
        people = []
        for number in range(AGENTS):
            person = await identity.upsert_person(
                session,
                f"agent-{number}",
                name=f"Agent {number}",
                email=agent_address(number),
                role=Role.lead if number == 0 else Role.agent,
            )
            people.append(person)
            session.add(TeamMember(team_id=teams[number % len(teams)].id, person_id=person.id))
        _, key = await identity.create_key(session, name="bench", role=Role.lead, person_id=people[0].id)
    return World(key, "", [str(each.id) for each in teams], [str(each.id) for each in people])


async def take_in(database: Database, settings: Settings, paths: list[Path]) -> tuple[float, int, int]:
    """(seconds of the jobs, tickets, messages)."""
    importer, took, tickets, messages = Importer(database, technical_desk(settings)), 0.0, 0, 0
    for path in paths:
        with path.open("rb") as file:
            upload = Upload(
                file=file,
                filename=path.name,
                origin="bench",
                format=None,
                mapping={},
                value_mapping={},
                unknown_people=UnknownPeople.create,
                zone="UTC",
                dry_run=False,
            )
            async with database.session() as session:
                import_id = (await create(session, upload, actor=SYSTEM)).id
        started = time.perf_counter()
        row = await _run(database, importer, import_id)
        took += time.perf_counter() - started
        assert not row.failed, row.warnings
        tickets, messages = tickets + row.created, messages + row.messages
        print(f"  {tickets:,} tickets, {tickets / took:.0f}/s", file=sys.stderr)
    return took, tickets, messages


async def _run(database: Database, importer: Importer, import_id: UUID) -> TicketImport:
    while True:
        await importer.run(import_id)
        async with database.session() as session:
            row = await session.get_one(TicketImport, import_id)
        if row.status not in ("queued", "running"):
            return row


async def rest(database: Database) -> None:
    """What autovacuum does within minutes; the figures are of a database at rest."""
    owner = create_engine(database.dsn("owner"), command_timeout=None)
    async with owner.connect() as connection:
        resting = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await resting.execute(text(f"vacuum (analyze) {', '.join(VACUUM)}"))
    await owner.dispose()


async def customer(database: Database) -> str:
    """The key of somebody with tickets."""
    async with database.session() as session:
        person_id = await session.scalar(
            text("select requester_id from ticket where requester_id is not null order by id limit 1")
        )
        _, key = await identity.create_key(
            session, name="bench customer", role=Role.customer, person_id=person_id
        )
    return key


async def questions(database: Database, world: World) -> dict[str, list[str]]:
    """Addresses of each kind of question, ``ASKED`` of a kind and some to warm up."""
    pick, count = random.Random(7), ASKED + WARM_UP
    async with database.session() as session:
        found = await session.execute(
            text("select CAST(id AS text), number, subject from ticket order by id limit 2000")
        )
        rows = found.all()
    chosen = [pick.choice(rows) for _ in range(count)]
    words = [
        pick.choice([each for each in row.subject.split() if len(each) > 4] or ["error"]) for row in chosen
    ]
    route = "/v1/technical/tickets"
    statuses = ("open", "pending", "closed", "solved")
    return {
        "list": [f"{route}?limit=20"] * count,
        "list by status and team": [
            f"{route}?status={pick.choice(statuses)}&team_id={pick.choice(world.teams)}" for _ in range(count)
        ],
        "list by tag": [f"{route}?tag={pick.choice(TAGS)}" for _ in range(count)],
        "list by assignee": [f"{route}?assignee_id={pick.choice(world.agents)}" for _ in range(count)],
        "longest waiting first": [f"{route}?waiting=true&sort=waiting_since"] * count,
        "by number": [f"{route}?number=TEC-{row.number}" for row in chosen],
        "search q": [f"{route}?q={quote(word)}" for word in words],
        "search q, two words": [
            f"{route}?q={quote(one + ' ' + two)}" for one, two in zip(words, reversed(words), strict=True)
        ],
        "get": [f"{route}/{row.id}" for row in chosen],
        "messages": [f"{route}/{row.id}/messages" for row in chosen],
        "timeline": [f"{route}/{row.id}/timeline" for row in chosen],
        "suggestions": [f"{route}/{row.id}/suggestions" for row in chosen],
        "a customer's list": [f"{route}?limit=20"] * count,
    }


def ask(url: str, key: str, paths: list[str]) -> tuple[list[float], int]:
    """(milliseconds of each, how many were not answered with 200), on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    took, refused = [], 0
    for path in paths:
        started = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        response.read()
        took.append((time.perf_counter() - started) * 1000)
        refused += response.status != 200
    return took[WARM_UP:], refused


def client(url: str, plan: Path) -> None:
    """The process that asks: reads what to ask, prints the figures as JSON."""
    figures = {}
    for name, (key, paths) in json.loads(plan.read_text()).items():
        took, refused = ask(url, key, paths)
        cut = statistics.quantiles(took, n=100)
        figures[name] = {"p50": cut[49], "p95": cut[94], "refused": refused}
    print(json.dumps(figures))


def measure(settings: Settings, asked: dict[str, list[str]], world: World, folder: Path) -> dict[str, Any]:
    """Serve and ask from another process."""
    plan = folder / "plan.json"
    keys = {name: world.customer_key if "customer" in name else world.key for name in asked}
    plan.write_text(json.dumps({name: (keys[name], paths) for name, paths in asked.items()}))
    with serve(create_app(settings)) as url:
        command = [sys.executable, "-m", "tests.bench.bench_tickets", "--client", url, str(plan)]
        done = subprocess.run(command, check=True, capture_output=True, env=os.environ, timeout=3600)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def load(
    database: Database, settings: Settings, data: Path, count: int, folder: Path
) -> dict[str, Any]:
    """Everything in; the figures of it, and what to ask."""
    await database.start()
    await bring_up_to_date(settings, database)
    world = await staff(database)
    paths = write_files(Generator(read_texts(data), count), folder, limit=90 * 2**20)
    size = sum(each.stat().st_size for each in paths)
    took, tickets, messages = await take_in(database, settings, paths)
    await rest(database)
    world.customer_key = await customer(database)
    imported = {
        "tickets": tickets,
        "messages": messages,
        "megabytes": round(size / 2**20, 1),
        "files": len(paths),
        "seconds": round(took, 1),
        "tickets_per_second": round(tickets / took, 1),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    asked = await questions(database, world)
    await database.stop()
    return {"import": imported, "world": world, "asked": asked}


def main() -> None:
    """Import, serve, ask, print."""
    if "--client" in sys.argv:
        client(sys.argv[-2], Path(sys.argv[-1]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("count", nargs="?", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            data_dir=folder / "data",
            worker_in_server=False,
            sample_company=False,
            log_level="WARNING",
            rate_limit_per_minute=0,
        )
        loaded = asyncio.run(load(Database(settings), settings, arguments.data, arguments.count, folder))
        http_figures = measure(settings, loaded["asked"], loaded["world"], folder)
    figures = {"import": loaded["import"], "http": http_figures, "load": os.getloadavg()}
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(" · ".join(f"{key.replace('_', ' ')}: {value:,}" for key, value in figures["import"].items()))
    print(f"{'':26}{'p50 ms':>9}{'p95 ms':>9}")
    for question, each in figures["http"].items():
        refused = f"  {each['refused']} not answered" if each["refused"] else ""
        print(f"{question:26}{each['p50']:9.1f}{each['p95']:9.1f}{refused}")
    print("load of the machine:", " ".join(f"{each:.1f}" for each in figures["load"]))


if __name__ == "__main__":
    main()
