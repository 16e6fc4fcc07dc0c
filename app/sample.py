"""The sample company of the first run: accounts, people, a handbook, and one API key a role."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.exceptions import TrideskError
from app.identity import Role
from app.identity import service as identity
from app.identity.models import Person
from app.rag.constants import DocumentStatus
from app.rag.models import Collection, Document
from app.rag.service import collections, documents

SEEDS = Path(__file__).parent.parent / "db" / "seeds"
KEYS_FILE = "demo-keys.json"
POLL = 0.2  # seconds between two looks at the progress
SOURCE_PREFIX = "sample/"

Progress = Callable[[int, int], None]  # (pages ready, pages)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a newcomer needs: a key a role, and a question to begin with."""

    keys: dict[str, str]
    keys_path: Path
    first_question: str


async def load_sample(database: Database, data_dir: Path, progress: Progress) -> Sample:
    """Load the sample company once, wait until its pages are searchable, and see to the demo keys.

    All pages are queued in one transaction, so a start that is killed is taken up again where it was.
    """
    company = json.loads((SEEDS / "company.json").read_text(encoding="utf-8"))
    async with database.session() as session:
        if not await _is_loaded(session, company):
            await _load(session, company)
    await _wait_until_ready(database, progress)
    keys_path = data_dir / KEYS_FILE
    keys = await _demo_keys(database, company, keys_path)
    return Sample(keys=keys, keys_path=keys_path, first_question=company["first_question"])


async def _is_loaded(session: AsyncSession, company: dict[str, Any]) -> bool:
    names = [each["name"] for each in company["collections"]]
    return bool(await session.scalar(select(func.count()).where(Collection.name.in_(names))))


async def _load(session: AsyncSession, company: dict[str, Any]) -> None:
    accounts = {
        each["external_id"]: (await identity.upsert_account(session, each["external_id"], each["name"])).id
        for each in company["accounts"]
    }
    for each in company["people"]:
        await identity.upsert_person(
            session,
            each["external_id"],
            name=each["name"],
            email=each["email"],
            account_id=accounts[each["account"]] if each.get("account") else None,
            role=Role(each["role"]),
        )
    shelves = {
        each["slug"]: (
            await collections.get_or_create(session, name=each["name"], description=each["description"])
        ).id
        for each in company["collections"]
    }
    for page in company["documents"]:
        await documents.take_in(session, _upload(page, shelves, accounts))


def _upload(page: dict[str, Any], shelves: dict[str, UUID], accounts: dict[str, UUID]) -> documents.Upload:
    path = SEEDS / page["path"]
    audience = page["audience"][0]
    if audience.startswith("account:"):
        audience = f"account:{accounts[audience.removeprefix('account:')]}"
    return documents.Upload(
        collection_id=shelves[page["collection"]],
        content=path.read_bytes(),
        filename=path.name,
        title=page["title"],
        audience=audience,
        source=SOURCE_PREFIX + page["path"],
        product=page.get("product"),
        product_version=page.get("version"),
        valid_from=_date(page.get("valid_from")),
        valid_until=_date(page.get("valid_until")),
    )


def _date(value: str | None) -> datetime | None:
    if value is None:
        return None
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


async def _wait_until_ready(database: Database, progress: Progress) -> None:
    ours = Document.source.startswith(SOURCE_PREFIX)
    while True:
        async with database.session() as session:
            counts = dict(
                (await session.execute(select(Document.status, func.count()).where(ours).group_by(Document.status)))
                .tuples()
                .all()
            )
        waiting = counts.get(DocumentStatus.QUEUED, 0) + counts.get(DocumentStatus.RUNNING, 0)
        total = sum(counts.values())
        progress(total - waiting, total)
        if not waiting:
            return
        await asyncio.sleep(POLL)


async def _demo_keys(database: Database, company: dict[str, Any], path: Path) -> dict[str, str]:
    """The keys in the file while all of them work; else new ones."""
    kept = _read_keys(path)
    async with database.session() as session:
        if kept and await _all_work(session, kept):
            return kept
        keys = {}
        for role in Role:
            external_id = next(each["external_id"] for each in company["people"] if each["role"] == role)
            person_id = await session.scalar(select(Person.id).where(Person.external_id == external_id))
            _, keys[role.value] = await identity.create_key(
                session, name=f"demo {role}", role=role, person_id=person_id
            )
    _write_keys(path, keys)
    return keys


async def _all_work(session: AsyncSession, keys: dict[str, str]) -> bool:
    try:
        for secret in keys.values():
            await identity.authenticate_key(session, secret)
    except TrideskError:
        return False
    return True


def _read_keys(path: Path) -> dict[str, str] | None:
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    complete = isinstance(keys, dict) and set(keys) == {role.value for role in Role}
    return keys if complete else None


def _write_keys(path: Path, keys: dict[str, str]) -> None:
    """Secrets: readable by the owner only from the first byte, and never half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(keys, file, indent=2)
        file.write("\n")
    temporary.replace(path)
