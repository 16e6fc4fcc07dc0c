"""Collections: named sets of documents."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal, Role, require
from app.listing import Search, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.rag.exceptions import (
    CollectionExistsError,
    CollectionNotEmptyError,
    CollectionNotFoundError,
)
from app.rag.models import Collection
from app.rag.schemas import (
    CollectionCreate,
    CollectionUpdate,
    CollectionView,
)
from app.rag.service import collections

NO_COLLECTION = documented(raises=[CollectionNotFoundError])


class CollectionController(Controller):
    """Named sets of documents."""

    path = "/collections"
    tags = ["rag"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/",
        operation_id="create_collection",
        guards=[require(Role.agent)],
        summary="Create a collection",
        opt=documented(raises=[CollectionExistsError]),
    )
    async def create_collection(
        self,
        data: JSONBody[CollectionCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> CollectionView:
        """Make a collection; its name is unique."""
        return _collection(
            await collections.create(session, name=data.name, description=data.description, actor=principal)
        )

    @get(
        "/",
        operation_id="list_collections",
        summary="List collections",
        opt=documented(listing=collections.COLLECTIONS),
    )
    async def list_collections(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        text: Search = None,
        sort: Sort = None,
        total: Total = False,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[CollectionView]:
        """Collections that hold something the caller may read, newest first."""
        found = await collections.COLLECTIONS.fetch(
            session,
            collections.visible(principal, text=text),
            sort=sort,
            cursor=cursor,
            limit=limit,
            total=total,
            filters={"q": text},
        )
        return found.page(_collection)

    @get(
        "/{collection_id:uuid}",
        operation_id="get_collection",
        summary="Get a collection",
        opt=NO_COLLECTION,
    )
    async def get_collection(
        self,
        collection_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> CollectionView:
        """A collection; for others than staff, if it holds something for them."""
        return _collection(await collections.get(session, collection_id, principal=principal))

    @patch(
        "/{collection_id:uuid}",
        operation_id="update_collection",
        guards=[require(Role.agent)],
        summary="Change a collection",
        opt=documented(raises=[CollectionNotFoundError, CollectionExistsError]),
    )
    async def update_collection(
        self,
        *,
        collection_id: FromPath[UUID],
        data: JSONBody[CollectionUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> CollectionView:
        """Rename or describe a collection. Staff only."""
        return _collection(
            await collections.change(
                session, collection_id, expected=expected, actor=principal, **structs.asdict(data)
            )
        )

    @delete(
        "/{collection_id:uuid}",
        operation_id="delete_collection",
        guards=[require(Role.agent)],
        summary="Delete a collection",
        opt=documented(raises=[CollectionNotFoundError, CollectionNotEmptyError]),
    )
    async def delete_collection(
        self,
        collection_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a collection that is empty. Staff only."""
        await collections.remove(session, collection_id, expected=expected, actor=principal)


def _collection(row: Collection) -> CollectionView:
    return convert(row, CollectionView, from_attributes=True)
