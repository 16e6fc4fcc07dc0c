"""Requests from a file: each row for itself, once, with its voters.

A row that names no id of its own has one made of what it says, so that the same file once more changes
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import TrideskError
from app.features.constants import FeatureStatus, Origin
from app.features.exceptions import UnknownPersonError
from app.features.models import Board, Request
from app.features.schemas.importing import FeatureImportOutcome, FeatureImportResult, FeatureImportRow
from app.features.service import boards, requests, votes
from app.features.service.people import check_person
from app.features.utils.csv_requests import ImportedRequest, Row
from app.identity.models import Person
from app.identity.principal import Principal

ROWS_MAX = 1_000
BYTES_MAX = 5 * 2**20


async def take(
    session: AsyncSession, board_id: UUID, rows: Sequence[Row], *, actor: Principal, dry_run: bool
) -> FeatureImportResult:
    """Make the requests of a file; ``UnknownBoardError``, ``BoardArchivedError``.

    ``dry_run``: everything is tried, and undone at the end.
    """
    board = await boards.known(session, board_id, principal=actor)
    people = await _people(session, rows)
    trying = await session.begin_nested()
    shown = [await _take_one(session, board, each, people, actor=actor) for each in rows]
    await (trying.rollback() if dry_run else trying.commit())
    count = {outcome: sum(each.outcome is outcome for each in shown) for outcome in FeatureImportOutcome}
    return FeatureImportResult(
        rows=shown,
        created=count[FeatureImportOutcome.created],
        unchanged=count[FeatureImportOutcome.unchanged],
        refused=count[FeatureImportOutcome.refused],
        dry_run=dry_run,
    )


async def _take_one(
    session: AsyncSession, board: Board, row: Row, people: Mapping[str, UUID], *, actor: Principal
) -> FeatureImportRow:
    if row.request is None:
        return _shown(row, FeatureImportOutcome.refused, problem=row.problem)
    external_id = row.request.external_id or _id_of(row.request)
    there = select(Request.id).where(Request.board_id == board.id, Request.external_id == external_id)
    if (request_id := await session.scalar(there)) is not None:
        return _shown(row, FeatureImportOutcome.unchanged, request_id)
    try:
        async with session.begin_nested():
            made, unknown = await _make(session, board, row.request, external_id, people, actor=actor)
    except TrideskError as error:
        return _shown(row, FeatureImportOutcome.refused, problem=error.detail or error.code)
    return _shown(row, FeatureImportOutcome.created, made.id, unknown=unknown)


async def _make(
    session: AsyncSession,
    board: Board,
    given: ImportedRequest,
    external_id: str,
    people: Mapping[str, UUID],
    *,
    actor: Principal,
) -> tuple[Request, list[str]]:
    """The request with its votes, and the addresses of nobody."""
    at = given.created_at
    at = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    found = {each: await _known(session, board, people.get(each)) for each in _addresses(given)}
    author_id = found.get((given.author_email or "").lower())
    values: dict[str, Any] = {"title": given.title, "body": given.body, "tags": list(given.tags)}
    values |= {"planned_for": given.planned_for, "origin": Origin.imported, "external_id": external_id}
    values |= {"status": given.status, "approved_at": datetime.now(UTC)}
    if given.status is FeatureStatus.shipped:
        values["shipped_at"] = at or datetime.now(UTC)
    made = await requests.insert_one(
        session, board, await requests.cleaned(values), author_id=author_id, actor=actor, at=at
    )
    voters = {found[each.lower()] for each in given.voter_emails} - {None, author_id}
    for person_id in sorted(voters, key=str):
        assert person_id is not None  # taken out above
        await votes.put(session, made, person_id, actor=actor, at=at)
    await votes.recount(session, made)
    return made, sorted(each for each, person_id in found.items() if person_id is None)


async def _known(session: AsyncSession, board: Board, person_id: UUID | None) -> UUID | None:
    if person_id is None:
        return None
    try:
        return (await check_person(session, person_id, board_id=board.id)).id
    except UnknownPersonError:
        return None


async def _people(session: AsyncSession, rows: Sequence[Row]) -> dict[str, UUID]:
    """People by their addresses, in lower case; an address of several is nobody's."""
    wanted = {address for row in rows if row.request is not None for address in _addresses(row.request)}
    address = func.lower(Person.email)
    statement = (
        select(address, func.array_agg(Person.id))
        .where(
            address == any_(literal(sorted(wanted), ARRAY(Text))), Person.active, Person.erased_at.is_(None)
        )
        .group_by(address)
    )
    return {found: ids[0] for found, ids in await session.execute(statement) if len(ids) == 1}


def _addresses(given: ImportedRequest) -> list[str]:
    return sorted({each.lower() for each in [*given.voter_emails, given.author_email or ""] if each})


def _id_of(given: ImportedRequest) -> str:
    said = f"{given.title}\0{given.body}\0{given.created_at}\0{given.author_email}"
    return f"csv-{hashlib.sha256(said.encode()).hexdigest()[:24]}"


def _shown(
    row: Row,
    outcome: FeatureImportOutcome,
    request_id: UUID | None = None,
    *,
    problem: str | None = None,
    unknown: Sequence[str] = (),
) -> FeatureImportRow:
    return FeatureImportRow(
        line=row.line,
        outcome=outcome,
        request_id=request_id,
        problem=problem,
        unknown_people=list(unknown),
    )
