"""Collections: named sets of documents."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import InvalidError
from app.identity import SYSTEM, Principal
from app.listing import Listing, matching
from app.preconditions import ANYTHING, Expected
from app.rag.exceptions import CollectionExistsError, CollectionNotEmptyError, CollectionNotFoundError
from app.rag.models import Collection, Document
from app.rag.recording import record_collection
from app.rag.visibility import seen

COLLECTIONS = Listing(
    Collection, sorts={"created_at": Collection.created_at, "name": Collection.name}, default="-created_at"
)


async def create(
    session: AsyncSession, *, name: str, description: str = "", actor: Principal = SYSTEM
) -> Collection:
    """A new collection; ``CollectionExistsError`` when its name is taken, ``InvalidError`` when blank."""
    statement = (
        insert(Collection)
        .values(name=_clean(name), description=description.strip())
        .on_conflict_do_nothing(index_elements=[Collection.name])
        .returning(Collection)
    )
    collection = await session.scalar(statement)
    if collection is None:
        raise CollectionExistsError(f"A collection named {name.strip()!r} exists already.")
    await record_collection(session, "collection.created", collection, actor=actor, after=_told(collection))
    return collection


async def get_or_create(session: AsyncSession, *, name: str, description: str = "") -> Collection:
    """The collection of that name, made if absent; safe when two come at once."""
    try:
        return await create(session, name=name, description=description)
    except CollectionExistsError:
        return (await session.scalars(select(Collection).where(Collection.name == name.strip()))).one()


async def get(session: AsyncSession, collection_id: UUID, *, principal: Principal = SYSTEM) -> Collection:
    """One collection; for others than staff only if it holds something for them."""
    collection = await session.scalar(visible(principal).where(Collection.id == collection_id))
    if collection is None:
        raise CollectionNotFoundError("No such collection.")
    return collection


async def change(
    session: AsyncSession,
    collection_id: UUID,
    *,
    name: str | UnsetType = UNSET,
    description: str | UnsetType = UNSET,
    expected: Expected = ANYTHING,
    actor: Principal = SYSTEM,
) -> Collection:
    """Change what is given.

    Errors: ``CollectionNotFoundError``, ``VersionMismatchError``, ``CollectionExistsError``.
    """
    collection = await _locked(session, collection_id, expected=expected)
    wanted = {} if name is UNSET else {"name": _clean(name)}
    if description is not UNSET:
        wanted["description"] = description.strip()
    before = {field: getattr(collection, field) for field in wanted}
    wanted = {field: value for field, value in wanted.items() if before[field] != value}
    if not wanted:
        return collection
    taken = select(Collection.id).where(Collection.name == wanted.get("name"), Collection.id != collection_id)
    if await session.scalar(taken):
        raise CollectionExistsError(f"A collection named {wanted['name']!r} exists already.")
    statement = update(Collection).where(Collection.id == collection_id).values(wanted).returning(Collection)
    collection = (await session.scalars(statement, execution_options={"populate_existing": True})).one()
    changed = {field: before[field] for field in wanted}
    await record_collection(
        session, "collection.updated", collection, actor=actor, before=changed, after=wanted
    )
    return collection


async def remove(
    session: AsyncSession, collection_id: UUID, *, expected: Expected = ANYTHING, actor: Principal = SYSTEM
) -> None:
    """Delete an empty collection; ``CollectionNotEmptyError`` while it holds documents."""
    collection = await _locked(session, collection_id, expected=expected)
    if await session.scalar(select(Document.id).where(Document.collection_id == collection_id).limit(1)):
        raise CollectionNotEmptyError("Move or delete its documents first.")
    await session.execute(delete(Collection).where(Collection.id == collection_id))
    await record_collection(session, "collection.deleted", collection, actor=actor, before=_told(collection))


def visible(principal: Principal, *, text: str | None = None) -> Select[Collection]:
    """Collections for the reader: staff's are all, others' those that hold something for them."""
    statement = select(Collection).where(matching(text, Collection.name, Collection.description))
    if principal.is_staff:
        return statement
    inside = select(Document.id).where(Document.collection_id == Collection.id, seen(principal))
    return statement.where(inside.exists())


async def _locked(session: AsyncSession, collection_id: UUID, *, expected: Expected) -> Collection:
    collection = await session.get(Collection, collection_id, with_for_update=True, populate_existing=True)
    if collection is None:
        raise CollectionNotFoundError("No such collection.")
    expected.check(collection.version)
    return collection


def _clean(name: str) -> str:
    if not name.strip():
        raise InvalidError("name: blank", errors=[{"field": "name", "message": "Must not be blank"}])
    return name.strip()


def _told(collection: Collection) -> dict[str, str]:
    return {"name": collection.name, "description": collection.description}
