"""Boards: who may see them does, the staff make and change them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import BoardVisibility
from app.features.exceptions import BoardExistsError, BoardNotFoundError, UnknownAccountError
from app.features.schemas.boards import FeatureBoardChange, FeatureBoardCreate, FeatureBoardView
from app.features.service import boards
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Search, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

VisibilityFilter = Annotated[list[BoardVisibility] | None, several("visibility", "Seen by these.")]
ArchivedFilter = Annotated[
    bool | None, QueryParameter(name="archived", description="Archived or not; both, when left out.")
]


class FeatureBoardController(Controller):
    """Boards."""

    path = "/boards"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_feature_board",
        guards=[require(Role.lead)],
        opt=documented(raises=[BoardExistsError, UnknownAccountError]),
    )
    async def create_feature_board(
        self,
        data: JSONBody[FeatureBoardCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureBoardView:
        """Make a board. For leads."""
        board = await boards.create(session, actor=principal, **structs.asdict(data))
        return await boards.show(session, board, principal=principal)

    @get(operation_id="list_feature_boards", opt=documented(listing=boards.BOARDS))
    async def list_feature_boards(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        visibility: VisibilityFilter = None,
        archived: ArchivedFilter = None,
        q: Search = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureBoardView]:
        """List boards that the caller may see, by their position."""
        found = await boards.BOARDS.fetch(
            session,
            boards.listed(principal=principal, visibilities=visibility, archived=archived, text=q),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"visibility": visibility, "archived": archived, "q": q},
        )
        shown = await boards.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/{board_id:uuid}",
        operation_id="get_feature_board",
        opt=documented(raises=[BoardNotFoundError]),
    )
    async def get_feature_board(
        self,
        board_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureBoardView:
        """Get a board."""
        board = await boards.get(session, board_id, principal=principal)
        return await boards.show(session, board, principal=principal)

    @patch(
        "/{board_id:uuid}",
        operation_id="update_feature_board",
        guards=[require(Role.lead)],
        opt=documented(raises=[BoardNotFoundError, BoardExistsError, UnknownAccountError]),
    )
    async def update_feature_board(
        self,
        *,
        board_id: FromPath[UUID],
        data: JSONBody[FeatureBoardChange],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureBoardView:
        """Change a board, its visibility and its labels, or archive it. For leads."""
        board = await boards.change(
            session, board_id, actor=principal, expected=expected, **structs.asdict(data)
        )
        return await boards.show(session, board, principal=principal)
