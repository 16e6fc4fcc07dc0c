"""What the privacy room's routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from app.identity.schemas import Person

COUNTS = {"identity": {"api_keys": 1}, "rag": {"chats": 3, "answers": 11, "feedback": 2}}
Counts = Annotated[
    dict[str, dict[str, int]],
    Meta(description="Room to kind of row to how many were removed or made nameless.", examples=[COUNTS]),
]
Sections = Annotated[
    dict[str, dict[str, list[dict[str, Any]]]],
    Meta(
        description="Room to kind of row to the rows.", examples=[{"rag": {"chats": [{"title": "Refund"}]}}]
    ),
]


class PersonExport(Struct, frozen=True, kw_only=True):
    """Everything that is stored about a person."""

    exported_at: datetime
    person: Person
    rooms: Sections


class EraseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That it is meant: erasing cannot be undone."""

    confirm: Annotated[UUID, Meta(description="The id of the person, once more.")]


class ErasureReceipt(Struct, frozen=True, kw_only=True):
    """What was erased. Holds nothing of the person but their id here, which now names nobody."""

    id: UUID
    person_id: UUID
    counts: Counts
    erased_at: datetime
