"""Routes for what is stored about a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Router, get, post
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from msgspec import convert, to_builtins
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.identity import Principal, Role, require
from app.identity.schemas import Person
from app.openapi import documented
from app.privacy import service
from app.privacy.dependencies import Rooms, provide_rooms
from app.privacy.exceptions import ConfirmationMismatchError, ErasureNotFoundError, PersonNotFoundError
from app.privacy.models import Erasure
from app.privacy.schemas import EraseRequest, ErasureReceipt, PersonExport


@get(
    "/export",
    operation_id="export_person",
    cache_control=CacheControlHeader(no_store=True),
    opt=documented(raises=[PersonNotFoundError, PermissionDeniedError]),
)
async def export_person(
    person_id: FromPath[UUID],
    session: NamedDependency[AsyncSession],
    principal: NamedDependency[Principal],
    rooms: NamedDependency[Rooms],
) -> PersonExport:
    """Hand out everything that is stored about a person. Admins, and the person themselves."""
    person, sections = await service.export_person(session, person_id, principal=principal, rooms=rooms.all)
    plain: dict[str, Any] = to_builtins(sections, enc_hook=str)
    return PersonExport(
        exported_at=datetime.now(UTC),
        person=convert(person, Person, from_attributes=True),
        rooms=plain,
    )


@post(
    "/erase",
    operation_id="erase_person",
    status_code=200,
    guards=[require(Role.admin)],
    opt=documented(raises=[PersonNotFoundError, ConfirmationMismatchError]),
)
async def erase_person(
    *,
    person_id: FromPath[UUID],
    data: JSONBody[EraseRequest],
    session: NamedDependency[AsyncSession],
    principal: NamedDependency[Principal],
    rooms: NamedDependency[Rooms],
) -> ErasureReceipt:
    """Erase a person for good: what they wrote, what is known of them, their keys. Admins only.

    What the company did stays, without them: documents that they uploaded, entries of the ledger. Their
    tokens are refused from then on. Doing it again changes nothing.
    """
    if data.confirm != person_id:
        raise ConfirmationMismatchError("`confirm` must be the id of the person in the address.")
    return _shown(await service.erase_person(session, person_id, principal=principal, rooms=rooms.all))


@get(
    "/erase",
    operation_id="get_erasure",
    guards=[require(Role.admin)],
    opt=documented(raises=[ErasureNotFoundError]),
)
async def get_erasure(person_id: FromPath[UUID], session: NamedDependency[AsyncSession]) -> ErasureReceipt:
    """Read the receipt of an erasure again. Admins only."""
    return _shown(await service.get_receipt(session, person_id))


def _shown(receipt: Erasure) -> ErasureReceipt:
    return ErasureReceipt(
        id=receipt.id, person_id=receipt.person_id, counts=receipt.counts, erased_at=receipt.created_at
    )


router = Router(
    path="/v1/identity/people/{person_id:uuid}",
    route_handlers=[export_person, erase_person, get_erasure],
    dependencies={"rooms": Provide(provide_rooms)},
    tags=["identity"],
)
