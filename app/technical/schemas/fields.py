"""Custom fields."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.identity.schemas import NAME_PATTERN
from app.technical.constants import (
    DESCRIPTION_MAX,
    NAME_MAX,
    OPTIONS_MAX,
    POSITION_MAX,
    FieldType,
    RequiredOn,
)

FieldKey = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,63}$",
        description="Under which tickets hold its values; cannot be changed.",
        examples=["order_number"],
    ),
]
FieldLabel = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Order number"])
]
HelpText = Annotated[
    str, Meta(max_length=DESCRIPTION_MAX, pattern=r"^[^\x00]*$", description="For whoever fills it in.")
]
Kind = Annotated[
    FieldType,
    Meta(
        description="Cannot be changed. A `number` is given as a JSON number or as a string like `12.50`, and"
        ' always shown as a string in plain decimal notation (`"12.5"`), which no client rounds; a `date` is'
        " `2026-11-22`; a `multiselect` is a list; a `url` is http or https."
    ),
]
Option = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN)]
Options = Annotated[
    list[Option],
    Meta(
        max_length=OPTIONS_MAX,
        description="Choices of a `select` or `multiselect`. One taken out stays where it was chosen.",
    ),
]
Required = Annotated[
    RequiredOn,
    Meta(
        description="`create`: whoever may set it gives it with a new ticket; `solve`: the staff fill it in"
        " before they solve one."
    ),
]
Visible = Annotated[bool, Meta(description="Customers see its values on their tickets.")]
Editable = Annotated[bool, Meta(description="Customers give it with a new ticket; they must see it too.")]
Position = Annotated[int, Meta(ge=0, le=POSITION_MAX, description="The order in forms.")]


class TicketFieldCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new custom field."""

    key: FieldKey
    label: FieldLabel
    type: Kind
    description: HelpText = ""
    options: Options = []
    required_on: Required = RequiredOn.none
    visible_to_customers: Visible = False
    editable_by_customers: Editable = False
    position: Position = 0


class TicketFieldUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a custom field; what is left out stays."""

    label: FieldLabel | UnsetType = UNSET
    description: HelpText | UnsetType = UNSET
    options: Options | UnsetType = UNSET
    required_on: Required | UnsetType = UNSET
    visible_to_customers: Visible | UnsetType = UNSET
    editable_by_customers: Editable | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    archived: (
        Annotated[bool, Meta(description="Values stay where they are and none is set any more.")] | UnsetType
    ) = UNSET


class TicketFieldView(Struct, frozen=True, kw_only=True):
    """A custom field of tickets."""

    id: UUID
    key: FieldKey
    label: str
    type: Kind
    description: str
    options: list[str]
    required_on: RequiredOn
    visible_to_customers: bool
    editable_by_customers: bool
    position: int
    archived: bool
    version: int
    created_at: datetime
    updated_at: datetime
