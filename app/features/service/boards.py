"""Boards: made, changed, shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.features.constants import BOARD_TYPE, BoardVisibility, FeatureStatus
from app.features.exceptions import (
    BoardArchivedError,
    BoardExistsError,
    BoardNotFoundError,
    UnknownAccountError,
    UnknownBoardError,
)
from app.features.models import Board, BoardAccount
from app.features.schemas.boards import FeatureBoardView
from app.features.service.access import boards_of
from app.identity.models import Account
from app.identity.principal import Principal
from app.listing import Listing, any_of
from app.listing import matching as holds
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

FRESH = {"populate_existing": True}
TEXTS = ("name", "description")

BOARDS = Listing(
    Board,
    sorts={"position": Board.position, "name": Board.name, "created_at": Board.created_at},
    default="position",
)


async def create(session: AsyncSession, *, actor: Principal, **given: Any) -> Board:
    """A new board. ``given``: members of a ``FeatureBoardCreate``. ``BoardExistsError``,
    ``UnknownAccountError``."""
    values = _cleaned(given)
    accounts = values.pop("account_ids")
    inserted = insert(Board).values(values).on_conflict_do_nothing().returning(Board)
    made = (await session.scalars(inserted)).one_or_none()
    if made is None:
        raise BoardExistsError("Another board has this slug.")
    await _invite(session, made, accounts)
    await _record(session, "feature_board.created", made, actor=actor, after=_told(values, accounts))
    return made


async def get(session: AsyncSession, board_id: UUID, *, principal: Principal) -> Board:
    """The board; ``BoardNotFoundError`` also when the caller may not see it."""
    found = await session.scalar(
        select(Board).where(Board.id == board_id, boards_of(principal)), execution_options=FRESH
    )
    if found is None:
        raise BoardNotFoundError("There is no such board.")
    return found


async def known(session: AsyncSession, board_id: UUID, *, principal: Principal) -> Board:
    """A board that a request names, which takes something new: ``UnknownBoardError``,
    ``BoardArchivedError``. It is not archived before the commit."""
    statement = select(Board).where(Board.id == board_id, boards_of(principal))
    statement = statement.with_for_update(read=True, key_share=False, of=Board)
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise UnknownBoardError("There is no such board.", field="board_id")
    _check_active(found.archived_at)
    return found


async def check_active(session: AsyncSession, board_id: UUID) -> None:
    """``BoardArchivedError``."""
    _check_active(await session.scalar(select(Board.archived_at).where(Board.id == board_id)))


async def is_moderated(session: AsyncSession, board_id: UUID) -> bool:
    """Whether what customers write there waits for the staff's approval."""
    return bool(await session.scalar(select(Board.moderated).where(Board.id == board_id)))


async def change(
    session: AsyncSession, board_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> Board:
    """Change what is given. ``BoardNotFoundError``, ``VersionMismatchError``, ``BoardExistsError``,
    ``UnknownAccountError``."""
    board = await session.get(Board, board_id, with_for_update=True, populate_existing=True)
    if board is None:
        raise BoardNotFoundError("There is no such board.")
    expected.check(board.version)
    values = _cleaned({name: value for name, value in given.items() if value is not UNSET})
    if (archived := values.pop("archived", None)) is not None:
        values["archived_at"] = (board.archived_at or datetime.now(UTC)) if archived else None
    accounts = values.pop("account_ids", None)
    former = (await account_ids(session, [board.id])).get(board.id, [])
    changed = {name: value for name, value in values.items() if getattr(board, name) != value}
    if accounts is not None and sorted(accounts) == former:
        accounts = None
    if not changed and accounts is None:
        return board
    before = _told({name: getattr(board, name) for name in changed}, None if accounts is None else former)
    taken = select(Board.id).where(Board.slug == changed.get("slug", ""), Board.id != board.id)
    if await session.scalar(taken) is not None:
        raise BoardExistsError("Another board has this slug.")
    statement = (
        update(Board)
        .where(Board.id == board.id)
        .values(version=Board.version + 1, updated_at=func.now(), **changed)
        .returning(Board)
    )
    board = (await session.scalars(statement, execution_options=FRESH)).one()
    if accounts is not None:
        await session.execute(delete(BoardAccount).where(BoardAccount.board_id == board.id))
        await _invite(session, board, accounts)
    await _record(
        session,
        "feature_board.updated",
        board,
        actor=actor,
        before=before,
        after=_told(changed, accounts),
    )
    return board


def listed(
    *,
    principal: Principal,
    visibilities: Sequence[BoardVisibility] | None = None,
    archived: bool | None = None,
    text: str | None = None,
) -> Select[Board]:
    """Boards that a list shows."""
    statement = select(Board).where(
        boards_of(principal), any_of(Board.visibility, visibilities), holds(text, Board.name, Board.slug)
    )
    if archived is not None:
        statement = statement.where(Board.archived_at.is_not(None) == archived)
    return statement


async def show_all(
    session: AsyncSession, boards: Sequence[Board], *, principal: Principal
) -> list[FeatureBoardView]:
    """Boards, with their accounts for the staff."""
    accounts = await account_ids(session, [each.id for each in boards]) if principal.is_staff else {}
    return [_view(each, accounts.get(each.id, [])) for each in boards]


async def show(session: AsyncSession, board: Board, *, principal: Principal) -> FeatureBoardView:
    """One board."""
    return (await show_all(session, [board], principal=principal))[0]


async def account_ids(session: AsyncSession, board_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Which accounts boards are for; boards that name none are left out."""
    statement = select(BoardAccount).where(BoardAccount.board_id.in_(board_ids))
    found: dict[UUID, list[UUID]] = {}
    for row in await session.scalars(statement.order_by(BoardAccount.account_id)):
        found.setdefault(row.board_id, []).append(row.account_id)
    return found


def _check_active(archived_at: datetime | None) -> None:
    if archived_at is not None:
        raise BoardArchivedError("This board is archived.")


async def _invite(session: AsyncSession, board: Board, accounts: Sequence[UUID]) -> None:
    wanted = sorted(set(accounts))
    if not wanted:
        return
    there = set(await session.scalars(select(Account.id).where(Account.id.in_(wanted))))
    if missing := [each for each in wanted if each not in there]:
        raise UnknownAccountError(f"There is no account {missing[0]}.", field="account_ids")
    rows = [{"board_id": board.id, "account_id": each} for each in wanted]
    await session.execute(insert(BoardAccount).values(rows).on_conflict_do_nothing())


def _cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = dict(values)
    cleaned |= {name: redact(cleaned[name].strip()) for name in TEXTS if name in cleaned}
    if "labels" in cleaned:
        cleaned["labels"] = {status: redact(label.strip()) for status, label in cleaned["labels"].items()}
    if "account_ids" in cleaned:
        cleaned["account_ids"] = sorted(set(cleaned["account_ids"]))
    return cleaned


def _told(values: Mapping[str, Any], accounts: Sequence[UUID] | None) -> dict[str, Any]:
    told = {name: value for name, value in values.items() if name != "description"}
    return told if accounts is None else told | {"account_ids": list(accounts)}


async def _record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    board: Board,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    told = dict(after or {}) | {"version": board.version}
    subject = Subject(BOARD_TYPE, board.id)
    await events.record(session, type, subject=subject, actor=actor, before=before, after=told, audit=True)


def _view(board: Board, accounts: list[UUID]) -> FeatureBoardView:
    return FeatureBoardView(
        id=board.id,
        slug=board.slug,
        name=board.name,
        description=board.description,
        visibility=BoardVisibility(board.visibility),
        account_ids=accounts,
        moderated=board.moderated,
        labels={FeatureStatus(status): label for status, label in board.labels.items()},
        position=board.position,
        archived=board.archived_at is not None,
        version=board.version,
        created_at=board.created_at,
        updated_at=board.updated_at,
    )
