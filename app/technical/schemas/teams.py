"""Teams, their members, and asking for an assignee."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.identity.schemas import NAME_PATTERN
from app.technical.constants import (
    CAPACITY_MAX,
    DESCRIPTION_MAX,
    NAME_MAX,
    PRODUCTS_MAX,
    SKILLS_MAX,
    Assignment,
    AssignmentStrategy,
)
from app.technical.schemas.tickets import ProductName

TeamName = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Integrations"])
]
AboutIt = Annotated[
    str, Meta(max_length=DESCRIPTION_MAX, pattern=r"^[^\x00]*$", description="For the staff.")
]
Products = Annotated[
    list[ProductName],
    Meta(
        max_length=PRODUCTS_MAX,
        description="New tickets about these come to the team, when nobody says otherwise; case does not"
        " matter, of several teams the oldest has them.",
    ),
]
HowAssigned = Annotated[
    Assignment,
    Meta(
        description="`round_robin`: a ticket without an assignee gets the member with the least load who is"
        " available, below capacity, and has its skills."
    ),
]
Capacity = Annotated[
    int,
    Meta(
        ge=1,
        le=CAPACITY_MAX,
        description="How many unfinished tickets are enough; null: no limit.",
        examples=[20],
    ),
]
Skill = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["csv"])]


class TeamCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new team."""

    name: TeamName
    description: AboutIt = ""
    assignment: HowAssigned = Assignment.manual
    products: Products = []


class TeamUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a team; what is left out stays, a list that is given replaces the old one."""

    name: TeamName | UnsetType = UNSET
    description: AboutIt | UnsetType = UNSET
    assignment: HowAssigned | UnsetType = UNSET
    products: Products | UnsetType = UNSET


class TeamView(Struct, frozen=True, kw_only=True):
    """A team of the desk. Its version also counts the changes of its members."""

    id: UUID
    name: str
    description: str
    assignment: Assignment
    products: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class TeamMemberPut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody's place in a team; what is left out is as it is, or the default for who is new."""

    skills: (
        Annotated[
            list[Skill],
            Meta(
                max_length=SKILLS_MAX,
                description="Tags, components and products that they know; kept in lower case. A ticket needs"
                " those of its own that anybody in the team has.",
            ),
        ]
        | UnsetType
    ) = UNSET
    capacity: Capacity | UnsetType | None = UNSET
    available: Annotated[bool, Meta(description="Whether they get tickets now.")] | UnsetType = UNSET


class TeamMemberView(Struct, frozen=True, kw_only=True):
    """Somebody in a team."""

    person_id: UUID
    name: str
    skills: list[str]
    capacity: int | None
    available: bool
    unfinished: Annotated[int, Meta(description="Tickets of the team that they have and that go on.")]
    last_assigned_at: Annotated[
        datetime | None, Meta(description="When the team's rule gave them a ticket last.")
    ]
    created_at: datetime


class TeamMemberList(Struct, frozen=True, kw_only=True):
    """Everybody in a team, by name."""

    members: list[TeamMemberView]


class AssignmentCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an assignee is looked for."""

    strategy: AssignmentStrategy = AssignmentStrategy.auto
