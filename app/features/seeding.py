"""The sample company's boards: ``db/seeds/features.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import Origin
from app.features.desk import Desk
from app.features.models import Board, Notice, Request
from app.features.service import boards, comments, merging, releases, requests, votes
from app.identity.models import Person
from app.identity.principal import SYSTEM, Principal

SEEDS = Path(__file__).parent.parent.parent / "db" / "seeds" / "features.json"
STAFF = "lead-support"


@dataclass(frozen=True, slots=True)
class _Company:
    """Whom the sample names, by their ids in it."""

    people: Mapping[str, Person]
    accounts: Mapping[str, UUID]

    def as_(self, name: str) -> Principal:
        """Somebody, as the author of what they say."""
        person = self.people[name]
        return replace(SYSTEM, role=person.role, person_id=person.id, account_id=person.account_id)


async def load_features(session: AsyncSession, desk: Desk, accounts: Mapping[str, UUID]) -> bool:
    """Boards, requests with what people said, a merge and a release, in the caller's transaction, once;
    whether they were made: not where they are, under whatever name, nor without all the sample's people.

    ``accounts``: external id to id. Errors: those of what is made, where somebody changed the sample since.
    """
    told = msgspec.json.decode(SEEDS.read_bytes())
    if await _is_loaded(session, told):
        return False
    named = {each["author"] for each in told["requests"]} | {STAFF}
    found = (await session.scalars(select(Person).where(Person.external_id.in_(named)))).all()
    if len(found) < len(named):
        return False
    company = _Company({str(each.external_id): each for each in found}, accounts)
    made = {each["slug"]: await _board(session, company, each) for each in told["boards"]}
    ids: dict[str, UUID] = {}
    for each in told["requests"]:
        request = await _request(session, company, made[each["board"]], each)
        ids[each["external_id"]] = request.id
    for source, target in told["merges"]:
        await merging.merge(session, ids[source], ids[target], actor=company.as_(STAFF))
    for each in told["releases"]:
        told_of = dict(each) | {"requests": [ids[one] for one in each["requests"]]}
        await _release(session, desk, told_of, made[each["board"]].id, actor=company.as_(STAFF))
    return True


async def _is_loaded(session: AsyncSession, told: Mapping[str, Any]) -> bool:
    slugs = [each["slug"] for each in told["boards"]]
    names = [each["external_id"] for each in told["requests"]]
    boards_ = select(Board.id).where(Board.slug.in_(slugs))
    made = select(Request.id).where(Request.external_id.in_(names))
    return await session.scalar(boards_.union_all(made).limit(1)) is not None


async def _board(session: AsyncSession, company: _Company, told: Mapping[str, Any]) -> Board:
    values = dict(told)
    values["account_ids"] = [company.accounts[each] for each in values.pop("accounts", [])]
    return await boards.create(session, actor=company.as_(STAFF), **{"labels": {}} | values)


async def _request(
    session: AsyncSession, company: _Company, board: Board, told: Mapping[str, Any]
) -> Request:
    at = datetime.fromisoformat(told["at"])
    values = {name: told[name] for name in ("title", "body", "tags", "status", "external_id")}
    values |= {"origin": Origin.imported, "approved_at": datetime.now(UTC)}
    if "planned_for" in told:
        values["planned_for"] = date.fromisoformat(told["planned_for"])
    author = company.as_(told["author"])
    made = await requests.insert_one(
        session, board, await requests.cleaned(values), author_id=author.person_id, actor=author, at=at
    )
    for each in told["voters"]:
        voter = company.as_(each)
        assert voter.person_id is not None  # a person of the sample
        await votes.put(session, made, voter.person_id, actor=voter, at=at)
    await votes.recount(session, made)
    for each in told["comments"]:
        await comments.add(
            session,
            made.id,
            actor=company.as_(each["author"]),
            body=each["body"],
            official=each.get("official", False),
        )
    return made


async def _release(
    session: AsyncSession, desk: Desk, told: Mapping[str, Any], board_id: UUID, *, actor: Principal
) -> None:
    draft = await releases.create(
        session,
        actor=actor,
        board_id=board_id,
        title=told["title"],
        label=told["label"],
        body=told["body"],
        request_ids=told["requests"],
    )
    await releases.ship(session, desk, draft.id, actor=actor)
    # Nobody mails people who do not exist.
    await session.execute(update(Notice).where(Notice.release_id == draft.id).values(mail_due_at=None))
