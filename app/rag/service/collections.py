"""Collections: named sets of documents."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import InvalidError
from app.identity import Principal
from app.pagination import after
from app.rag.exceptions import CollectionExistsError, CollectionNotFoundError
from app.rag.models import Collection, Document
from app.rag.visibility import seen


async def create(session: AsyncSession, *, name: str, description: str = "") -> Collection:
    """A new collection; ``CollectionExistsError`` when its name is taken, ``InvalidError`` when blank."""
    if not name.strip():
        raise InvalidError("name: blank", errors=[{"field": "name", "message": "Must not be blank"}])
    statement = (
        insert(Collection)
        .values(name=name.strip(), description=description.strip())
        .on_conflict_do_nothing(index_elements=[Collection.name])
        .returning(Collection)
    )
    collection = await session.scalar(statement)
    if collection is None:
        raise CollectionExistsError(f"A collection named {name.strip()!r} exists already.")
    return collection


async def get_or_create(session: AsyncSession, *, name: str, description: str = "") -> Collection:
    """The collection of that name, made if absent; safe when two come at once."""
    try:
        return await create(session, name=name, description=description)
    except CollectionExistsError:
        return (await session.scalars(select(Collection).where(Collection.name == name.strip()))).one()


async def get(session: AsyncSession, collection_id: UUID) -> Collection:
    """One collection by id."""
    collection = await session.get(Collection, collection_id)
    if collection is None:
        raise CollectionNotFoundError("No such collection.")
    return collection


async def list_page(
    session: AsyncSession, *, principal: Principal, cursor: str | None, limit: int
) -> Sequence[Collection]:
    """Newest first, one row more than ``limit``; readers see collections that hold something for them."""
    statement = select(Collection)
    if not principal.is_staff:
        inside = select(Document.id).where(Document.collection_id == Collection.id, seen(principal))
        statement = statement.where(inside.exists())
    return (
        await session.scalars(
            after(statement, key=Collection.created_at, id=Collection.id, cursor=cursor, limit=limit)
        )
    ).all()
