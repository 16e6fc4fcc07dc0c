"""Who may see which board and which request: one rule, as conditions of a query.

Staff see everything. A customer sees boards that are public, for all customers or for their account, and on
them what was approved and is not hidden, and whatever they wrote themselves. Without a caller: what everybody
may read, which is approved and on a public board.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.features.constants import BoardVisibility
from app.features.models import Board, BoardAccount, Release, Request
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import Principal


def boards_of(principal: Principal | None) -> ColumnElement[bool]:
    """Boards that the caller may see."""
    if principal is None:
        return Board.visibility == BoardVisibility.public
    return true() if principal.is_staff else _open_to(principal.account_id)


def requests_of(principal: Principal | None) -> ColumnElement[bool]:
    """Requests that the caller may see; merged ones as well."""
    if principal is not None and principal.is_staff:
        return true()
    shown: ColumnElement[bool] = and_(Request.approved_at.is_not(None), Request.hidden_at.is_(None))
    if principal is not None and principal.person_id is not None:
        shown = or_(shown, Request.author_id == principal.person_id)
    return and_(Request.board_id.in_(select(Board.id).where(boards_of(principal))), shown)


def reads(person: type[Person]) -> ColumnElement[bool]:
    """Whether a person may see a request: of statements that have both, and the request's board."""
    shown = or_(
        and_(Request.approved_at.is_not(None), Request.hidden_at.is_(None)), Request.author_id == person.id
    )
    return or_(person.role != Role.customer, and_(_open_to(person.account_id), shown))


def releases_of(principal: Principal | None) -> ColumnElement[bool]:
    """Releases that the caller may see: drafts are the staff's."""
    if principal is not None and principal.is_staff:
        return true()
    boards = select(Board.id).where(boards_of(principal))
    return and_(Release.shipped_at.is_not(None), Release.board_id.in_(boards))


async def is_open_to(session: AsyncSession, board_id: UUID, person: Person) -> bool:
    """Whether a person may see a board."""
    if person.role >= Role.agent:
        return True
    return bool(
        await session.scalar(select(exists().where(Board.id == board_id, _open_to(person.account_id))))
    )


def _open_to(account_id: UUID | InstrumentedAttribute[UUID | None] | None) -> ColumnElement[bool]:
    everybody: ColumnElement[bool] = Board.visibility.in_([BoardVisibility.public, BoardVisibility.customers])
    if account_id is None:
        return everybody
    invited = select(BoardAccount.board_id).where(BoardAccount.account_id == account_id)
    return or_(everybody, and_(Board.visibility == BoardVisibility.accounts, Board.id.in_(invited)))
