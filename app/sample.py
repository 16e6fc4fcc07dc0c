"""The sample company of the first run: accounts, people, a handbook, and one API key a role."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.seeding import load_billing
from app.database import Database
from app.exceptions import ConfigurationError, TrideskError
from app.features.desk import Desk
from app.features.seeding import load_features
from app.identity import Role
from app.identity import service as identity
from app.identity.models import Account, Person
from app.mail import Mailer
from app.rag.constants import DocumentStatus
from app.rag.models import Collection, Document
from app.rag.service import collections, documents

logger = logging.getLogger(__name__)

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
    is_searchable: bool
    failed: tuple[str, ...]  # pages that could not be taken in, each with its reason


async def load_sample(database: Database, data_dir: Path, progress: Progress, *, wait: bool = True) -> Sample:
    """Load the sample company once, wait until its pages are searchable, and see to the demo keys.

    All pages are queued in one transaction, so a start that is killed is taken up again where it was.
    ``wait=False``: a worker elsewhere takes them in, sooner or later.
    """
    company = json.loads((SEEDS / "company.json").read_text(encoding="utf-8"))
    async with database.session() as session:
        if not await _is_loaded(session, company):
            await _load(session, company)
        await _load_boards(session, database, company)
    is_searchable = await _is_searchable(database, progress)
    while wait and not is_searchable:
        await asyncio.sleep(POLL)
        is_searchable = await _is_searchable(database, progress)
    keys_path = data_dir / KEYS_FILE
    return Sample(
        keys=await _demo_keys(database, company, keys_path),
        keys_path=keys_path,
        first_question=company["first_question"],
        is_searchable=is_searchable,
        failed=await _failures(database),
    )


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
            sees_account=each.get("sees_account", False),
        )
    shelves = {
        each["slug"]: (
            await collections.get_or_create(session, name=each["name"], description=each["description"])
        ).id
        for each in company["collections"]
    }
    for page in company["documents"]:
        await documents.take_in(session, _upload(page, shelves, accounts))
    await load_billing(session, accounts)


async def _load_boards(session: AsyncSession, database: Database, company: dict[str, Any]) -> None:
    """Also of a sample that was loaded before there were boards."""
    names = [each["external_id"] for each in company["accounts"]]
    found = await session.execute(
        select(Account.external_id, Account.id).where(Account.external_id.in_(names))
    )
    accounts = {str(row[0]): row[1] for row in found}
    if len(accounts) < len(names):
        return
    try:
        async with session.begin_nested():
            await load_features(session, Desk(mailer=Mailer(database.settings)), accounts)
    except TrideskError as error:  # somebody made something else of the sample: the server starts without
        logger.warning("the sample's boards were not made: %s", error.code)


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


async def _is_searchable(database: Database, progress: Progress) -> bool:
    """Whether no page waits any more."""
    counting = (
        select(Document.status, func.count())
        .where(Document.source.startswith(SOURCE_PREFIX))
        .group_by(Document.status)
    )
    async with database.session() as session:
        counts = {row[0]: row[1] for row in await session.execute(counting)}
    waiting = counts.get(DocumentStatus.QUEUED, 0) + counts.get(DocumentStatus.RUNNING, 0)
    total = sum(counts.values())
    progress(total - waiting, total)
    return not waiting


async def _failures(database: Database) -> tuple[str, ...]:
    failed = (
        select(Document.title, Document.error_detail)
        .where(Document.source.startswith(SOURCE_PREFIX), Document.status == DocumentStatus.FAILED)
        .order_by(Document.title)
    )
    async with database.session() as session:
        return tuple(f"{row.title}: {row.error_detail}" for row in await session.execute(failed))


async def _demo_keys(database: Database, company: dict[str, Any], path: Path) -> dict[str, str]:
    """The keys in the file while each of them works in its role; else new ones."""
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
        _write_keys(path, keys)  # before the commit: keys that work are in the file, whatever is cut off
    return keys


async def _all_work(session: AsyncSession, keys: dict[str, str]) -> bool:
    try:
        matches = {role: await identity.authenticate_key(session, key) for role, key in keys.items()}
    except TrideskError:
        return False
    return all(match.principal.role == role for role, match in matches.items())


def _read_keys(path: Path) -> dict[str, str] | None:
    try:
        path.chmod(0o600)  # it may have been copied or restored
        keys = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_complete = isinstance(keys, dict) and set(keys) == {role.value for role in Role}
    return keys if is_complete and all(isinstance(key, str) for key in keys.values()) else None


def _write_keys(path: Path, keys: dict[str, str]) -> None:
    """Secrets: readable by the owner only from the first byte, and never half-written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(keys, file, indent=2)
            file.write("\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}; set another DATA_DIR"
        ) from error
