"""Requests: made, changed, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Select, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.features.constants import FeatureStatus, OnDuplicate
from app.features.desk import Desk
from app.features.exceptions import RequestExistsError
from app.features.models import VOTERS, Board, Request
from app.features.service import boards, likeness, votes
from app.features.service.access import requests_of
from app.features.service.changes import TEXTS, check_unmerged, lock, record
from app.features.service.changes import change as apply
from app.features.service.people import check_person
from app.features.service.texts import rendered
from app.identity.principal import Principal
from app.listing import Listing, any_of, within
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

STAFFS_OWN = ("author_id", "tags", "planned_for", "external_id")
AUTHORS_OWN = frozenset({"title", "body"})
MARKS = {"approved": "approved_at", "hidden": "hidden_at", "locked": "locked_at"}

REQUESTS = Listing(
    Request,
    sorts={
        "votes": Request.votes,
        "created_at": Request.created_at,
        "updated_at": Request.updated_at,
        "status_changed_at": Request.status_changed_at,
        "number": Request.number,
    },
    default="-votes",
)


@dataclass(frozen=True, slots=True)
class Made:
    """A request, and whether it is a new one; else the one that was voted for instead."""

    request: Request
    is_new: bool


async def create(
    session: AsyncSession,
    desk: Desk,
    *,
    actor: Principal,
    on_duplicate: OnDuplicate = OnDuplicate.create,
    **given: Any,
) -> Made:
    """A new request, for which its author votes. ``given``: members of a ``FeatureRequestCreate``.

    A customer's waits for approval on a moderated board, and has no more than a title and a body. Errors:
    ``UnknownBoardError``, ``BoardArchivedError``, ``UnknownPersonError``, ``PermissionDeniedError``,
    ``RequestExistsError``, ``LikelyDuplicateError``, and those of ``votes.cast``.
    """
    if not actor.is_staff and any(
        given.get(each) for each in ("author_id", "tags", "planned_for", "external_id")
    ):
        raise PermissionDeniedError("Only staff set the author, tags, date and external id of a request.")
    author_id = given.pop("author_id", None) or (None if actor.person_id is None else actor.person_id)
    values = await cleaned(given)
    instead = await likeness.check_new(  # before anything is locked: it may take a while
        session,
        desk,
        board_id=given["board_id"],
        title=values["title"],
        body=values["body"],
        on_duplicate=on_duplicate,
        actor=actor,
    )
    if instead is not None and author_id is not None:
        return Made(await votes.cast(session, instead, author_id, actor=actor), is_new=False)
    board = await boards.known(session, given["board_id"], principal=actor)
    is_waiting = board.moderated and not actor.is_staff
    values["approved_at"] = None if is_waiting else datetime.now(UTC)
    return Made(await insert_one(session, board, values, author_id=author_id, actor=actor), is_new=True)


async def insert_one(
    session: AsyncSession,
    board: Board,
    values: Mapping[str, Any],
    *,
    author_id: UUID | None,
    actor: Principal,
    at: datetime | None = None,
) -> Request:
    """The row of a new request with its author's vote, its event and its likeness. ``at``: when it was made,
    of an import. ``RequestExistsError``, ``UnknownPersonError``."""
    account_id = None
    if author_id is not None:
        account_id = (await check_person(session, author_id, board_id=board.id)).account_id
    row = dict(values) | {"board_id": board.id, "author_id": author_id, "account_id": account_id}
    row |= {"created_at": at} if at else {}
    inserted = insert(Request).values(row).on_conflict_do_nothing().returning(Request)
    made = (await session.scalars(inserted)).one_or_none()
    if made is None:
        raise RequestExistsError("This board has a request with this external id.")
    told = {name: value for name, value in row.items() if name not in TEXTS and value is not None}
    told |= {"number": made.number, "status": made.status, "version": made.version}
    await record(session, "feature_request.created", made, actor=actor, after=told)
    if author_id is not None:
        await votes.put(session, made, author_id, actor=actor, at=at)
        await votes.recount(session, made)
    await likeness.changed(session, made)
    return made


async def change(
    session: AsyncSession, request_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> Request:
    """Change what is given; ``given``: members of a ``FeatureRequestChange``.

    Authors change the words of what is open and has no other voters. Errors: ``RequestNotFoundError``,
    ``VersionMismatchError``, ``RequestMergedError``, ``PermissionDeniedError``, ``UnknownBoardError``,
    ``BoardArchivedError``, ``RequestExistsError``.
    """
    request = await lock(session, request_id, principal=actor)
    expected.check(request.version)
    check_unmerged(request)
    values = await cleaned({name: value for name, value in given.items() if value is not UNSET})
    _check_may(request, values, actor)
    await boards.check_active(session, request.board_id)
    at = datetime.now(UTC)
    for name, column in MARKS.items():
        if name in values:
            values[column] = (getattr(request, column) or at) if values.pop(name) else None
    is_rewritten = bool(TEXTS & values.keys()) and not actor.is_staff
    if is_rewritten and await boards.is_moderated(session, request.board_id):
        values["approved_at"] = None  # what was approved were other words
    moves = values.get("board_id", request.board_id) != request.board_id
    if moves:
        await boards.known(session, values["board_id"], principal=actor)
        await _check_free(session, request, values["board_id"])
    changed = await apply(session, request, values, actor=actor)
    if moves:
        await session.execute(
            update(Request)
            .where(Request.merged_into_id == request.id)
            .values(board_id=values["board_id"])
            .execution_options(synchronize_session=False)
        )
    if "title" in values or "body" in values:
        await likeness.changed(session, changed)
    return changed


def listed(
    *,
    principal: Principal | None,
    boards: Sequence[UUID] | None = None,
    statuses: Sequence[FeatureStatus] | None = None,
    tags: Sequence[str] | None = None,
    author_id: UUID | None = None,
    voter_id: UUID | None = None,
    approved: bool | None = None,
    hidden: bool | None = None,
    merged: bool = False,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> Select[Request]:
    """Requests that a list shows; ``tags``: any of them; ``merged`` false: without merged ones."""
    mine: Any = Request.tags  # the comparator of ARRAY, which the mapped type hides
    statement = select(Request).where(
        requests_of(principal),
        any_of(Request.board_id, boards),
        any_of(Request.status, statuses),
        within(Request.created_at, created_after, created_before),
    )
    if tags is not None:
        statement = statement.where(mine.overlap([each.strip().lower() for each in tags]))
    if author_id is not None:
        statement = statement.where(Request.author_id == author_id)
    if voter_id is not None:
        statement = statement.where(
            exists().where(VOTERS.c.root_id == Request.id, VOTERS.c.person_id == voter_id)
        )
    if approved is not None:
        statement = statement.where(Request.approved_at.is_not(None) == approved)
    if hidden is not None:
        statement = statement.where(Request.hidden_at.is_not(None) == hidden)
    return statement if merged else statement.where(Request.merged_into_id.is_(None))


def _check_may(request: Request, values: Mapping[str, Any], actor: Principal) -> None:
    if actor.is_staff:
        return
    is_author = actor.person_id is not None and actor.person_id == request.author_id
    if not is_author or not values.keys() <= AUTHORS_OWN:
        raise PermissionDeniedError("Authors change the title and the body of their own requests.")
    if request.status != FeatureStatus.open or request.votes > 1 or request.locked_at is not None:
        raise PermissionDeniedError("Others voted for this already, or the staff took it up.")


async def _check_free(session: AsyncSession, request: Request, board_id: UUID) -> None:
    """What moves to another board brings its external ids there: ``RequestExistsError``."""
    group = or_(Request.id == request.id, Request.merged_into_id == request.id)
    names = select(Request.external_id).where(group, Request.external_id.is_not(None))
    taken = select(Request.id).where(Request.board_id == board_id, Request.external_id.in_(names))
    if await session.scalar(taken.limit(1)) is not None:
        raise RequestExistsError("That board has a request with this external id.")


async def cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a request as they are kept: without card numbers, tags in lower case."""
    kept = dict(values)
    if "title" in kept:
        kept["title"] = redact(kept["title"]).strip()
    if "body" in kept:
        body = await rendered(kept["body"])
        kept |= {"body": body.raw, "body_html": body.html}
    if "tags" in kept:
        kept["tags"] = sorted({redact(each).strip().lower() for each in kept["tags"]})
    return kept
