"""Saved views, and changes of many tickets at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from app.identity.schemas import NAME_PATTERN
from app.listing import FILTERS_MAX, SEARCH_MAX, SORT_MAX
from app.technical.constants import (
    NAME_MAX,
    Priority,
    Severity,
    Source,
    Status,
    Visibility,
)
from app.technical.schemas.macros import UUID_PATTERN, SharedWith, TagList
from app.technical.schemas.tickets import Custom, Name, Reason, TicketUpdate

HOURS_MAX = 24 * 366

ViewName = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["My open tickets"])
]
SomeIds = Annotated[list[UUID], Meta(max_length=FILTERS_MAX)]
SomeNames = Annotated[list[Name], Meta(max_length=FILTERS_MAX)]
Hours = Annotated[int, Meta(ge=1, le=HOURS_MAX, examples=[24])]
Order = Annotated[
    str,
    Meta(
        max_length=SORT_MAX,
        description="As the `sort` of the list of tickets; with `-` the greatest first.",
        examples=["-updated_at"],
    ),
]


class ViewFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What tickets are wanted, as the list of tickets is asked: each that is given must hold, any of its
    values will do.
    """

    status: Annotated[list[Status], Meta(max_length=FILTERS_MAX)] | None = None
    priority: Annotated[list[Priority], Meta(max_length=FILTERS_MAX)] | None = None
    severity: Annotated[list[Severity], Meta(max_length=FILTERS_MAX)] | None = None
    source: Annotated[list[Source], Meta(max_length=FILTERS_MAX)] | None = None
    assignee_id: (
        Annotated[
            list[Annotated[str, Meta(pattern=rf"^(me|{UUID_PATTERN})$")]],
            Meta(max_length=FILTERS_MAX, description="Ids; `me`: whoever looks.", examples=[["me"]]),
        ]
        | None
    ) = None
    unassigned: bool | None = None
    team_id: SomeIds | None = None
    requester_id: SomeIds | None = None
    account_id: SomeIds | None = None
    issue_id: SomeIds | None = None
    product: SomeNames | None = None
    component: SomeNames | None = None
    product_version: SomeNames | None = None
    tag: SomeNames | None = None
    signature: SomeNames | None = None
    custom: Annotated[
        Custom | None, Meta(description="Values of custom fields, all of them; of a multiselect, a list.")
    ] = None
    waiting: bool | None = None
    q: Annotated[str, Meta(min_length=1, max_length=SEARCH_MAX, pattern=r"^[^\x00]*$")] | None = None
    created_within_hours: Annotated[
        Hours | None, Meta(description="Made in so many hours before it is looked at.")
    ] = None
    updated_within_hours: Annotated[
        Hours | None, Meta(description="Changed in so many hours before it is looked at.")
    ] = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None


class ViewCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new view."""

    name: ViewName
    filter: ViewFilter = field(default_factory=ViewFilter)
    sort: Order = "-created_at"
    visibility: SharedWith = Visibility.personal
    team_id: Annotated[UUID | None, Meta(description="With the visibility `team` only.")] = None


class ViewUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a view; what is left out stays, a filter that is given replaces the old one."""

    name: ViewName | UnsetType = UNSET
    filter: ViewFilter | UnsetType = UNSET
    sort: Order | UnsetType = UNSET
    visibility: SharedWith | UnsetType = UNSET
    team_id: UUID | UnsetType | None = UNSET


class ViewDefinition(Struct, frozen=True, kw_only=True):
    """A saved view of tickets."""

    id: UUID
    name: str
    filter: ViewFilter
    sort: str
    visibility: Visibility
    owner_id: Annotated[UUID | None, Meta(description="Whose it is, if it is personal.")]
    team_id: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime


class ViewCount(Struct, frozen=True, kw_only=True):
    """How many tickets are in a view now."""

    count: Annotated[int, Meta(ge=0)]


class TicketChange(TicketUpdate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with one of many tickets: the macro first, then the changes, then the status."""

    ticket_id: UUID
    version: (
        Annotated[
            int,
            Meta(ge=1, le=2**31 - 1, description="The version that was seen; another one is not changed."),
        ]
        | None
    ) = None
    add_tags: TagList = []  # noqa: RUF012 - msgspec copies it
    remove_tags: TagList = []  # noqa: RUF012 - msgspec copies it
    macro_id: UUID | None = None
    status: Annotated[Status | None, Meta(description="Where to move it, if it is not there.")] = None
    reason: Reason | None = None
