"""Likeness: what the searchable side of the house knows of a request, and what is like a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import matching
from app.features.constants import CLOSED, SUBJECT_TYPE, OnDuplicate
from app.features.desk import Desk
from app.features.exceptions import LikelyDuplicateError
from app.features.models import Request
from app.features.service.access import requests_of
from app.features.service.changes import FRESH, subject_of
from app.features.utils.numbers import REQUESTS
from app.identity.principal import Principal
from app.listing import any_of
from app.matching import DUPLICATE_FROM, Entry, Match
from app.redaction import redact

AUDIENCE = ("staff",)  # whose requests somebody may compare with is the statement `within`
TYPES = (SUBJECT_TYPE,)
LEAST_COSINE = 0.35  # as a list's search has it; among a handful of requests there are always five nearest
CANDIDATES = 5  # that a new request is told it may be


@dataclass(frozen=True, slots=True)
class Alike:
    """A request, and what it has in common with what was asked about."""

    request: Request
    match: Match

    @property
    def is_likely(self) -> bool:
        """Over the calibrated threshold of duplicates."""
        return self.match.probability >= DUPLICATE_FROM


async def changed(session: AsyncSession, request: Request) -> None:
    """A locked request was made, merged or unmerged, or its text changed: what is found follows.

    A merged one is found no more: its root is.
    """
    if request.merged_into_id is not None:
        await matching.remove(session, subject_of(request.id))
    else:
        await matching.index_many(session, [entry(request)])


def entry(request: Request) -> Entry:
    """A request as it is found by likeness; whose they are is asked of the requests themselves."""
    return Entry(
        subject=subject_of(request.id),
        title=request.title,
        body=request.body,
        audience=AUDIENCE,
        created_at=request.created_at,
    )


async def similar(
    session: AsyncSession,
    desk: Desk,
    *,
    principal: Principal,
    title: str,
    body: str = "",
    boards: Sequence[UUID] | None = None,
    limit: int,
) -> list[Alike]:
    """Requests that the caller may see and that are like a text, the likeliest first; none merged."""
    matches = await desk.matcher.similar(
        session,
        title=redact(title),
        body=redact(body),
        types=TYPES,
        audiences=AUDIENCE,
        within=_visible(principal, boards),
        limit=limit,
    )
    return await found(session, [each for each in matches if each.terms or _is_near(each)])


async def search(
    session: AsyncSession, desk: Desk, q: str, wanted: Select[Request], *, limit: int
) -> list[Alike]:
    """What words and meaning find among the requests of a statement, best first."""
    matches = await desk.matcher.search(
        session,
        q,
        types=TYPES,
        audiences=AUDIENCE,
        within=wanted.with_only_columns(Request.id),
        limit=limit,
    )
    return await found(session, matches)


async def check_new(
    session: AsyncSession,
    desk: Desk,
    *,
    board_id: UUID,
    title: str,
    body: str,
    on_duplicate: OnDuplicate,
    actor: Principal,
) -> UUID | None:
    """Before a request is made: the id of the one to vote for instead, with ``OnDuplicate.vote``.

    ``LikelyDuplicateError`` with the candidates, with ``OnDuplicate.refuse``, and where none of them takes
    votes any more.
    """
    if on_duplicate is OnDuplicate.create:
        return None
    like = await similar(
        session, desk, principal=actor, title=title, body=body, boards=[board_id], limit=CANDIDATES
    )
    likely = sorted((each for each in like if each.is_likely), key=lambda each: -each.match.probability)
    if not likely:
        return None
    votable = [each for each in likely if each.request.status not in CLOSED]
    if on_duplicate is OnDuplicate.vote and votable:
        return votable[0].request.id
    raise LikelyDuplicateError(
        "There is likely such a request already: vote for it, or say that this is another one.",
        candidates=[_candidate(each) for each in likely],
    )


async def found(session: AsyncSession, matches: Sequence[Match]) -> list[Alike]:
    """The requests of matches that are still there and unmerged, in their order."""
    statement = select(Request).where(Request.id.in_([each.id for each in matches]))
    there = {each.id: each for each in await session.scalars(statement, execution_options=FRESH)}
    alike = [Alike(there[each.id], each) for each in matches if each.id in there]
    return [each for each in alike if each.request.merged_into_id is None]


def _is_near(match: Match) -> bool:
    """Of like meaning, although no word is the same."""
    return match.cosine is not None and match.cosine >= LEAST_COSINE


def _visible(principal: Principal, boards: Sequence[UUID] | None) -> Any:
    if principal.is_staff and boards is None:
        return None  # merged ones are out of the index
    return select(Request.id).where(
        requests_of(principal), Request.merged_into_id.is_(None), any_of(Request.board_id, boards)
    )


def _candidate(alike: Alike) -> dict[str, object]:
    request = alike.request
    return {
        "id": request.id,
        "number": REQUESTS.shown(request.number),
        "title": request.title,
        "status": request.status,
        "votes": request.votes,
        "confidence": round(alike.match.probability, 3),
        "vote": None if request.status in CLOSED else f"/v1/features/requests/{request.id}/vote",
    }
