"""The query parameters that lists of tickets take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from app.listing import FILTERS_MAX, SEARCH_MAX, several
from app.technical.constants import Priority, Severity, Source, Status

StatusFilter = Annotated[list[Status] | None, several("status", "Tickets that stand there.")]
PriorityFilter = Annotated[list[Priority] | None, several("priority", "Of this priority.")]
SeverityFilter = Annotated[list[Severity] | None, several("severity", "Of this severity.")]
SourceFilter = Annotated[list[Source] | None, several("source", "That came like this.")]
AssigneeFilter = Annotated[list[UUID] | None, several("assignee_id", "Whose assignee this is.")]
UnassignedFilter = Annotated[
    bool | None, QueryParameter(name="unassigned", description="Whether nobody is their assignee.")
]
TeamFilter = Annotated[list[UUID] | None, several("team_id", "Of this team.")]
RequesterFilter = Annotated[list[UUID] | None, several("requester_id", "That this person asked for.")]
AccountFilter = Annotated[list[UUID] | None, several("account_id", "Of this account.")]
IssueFilter = Annotated[list[UUID] | None, several("issue_id", "Behind which this known issue is.")]
ProductFilter = Annotated[list[str] | None, several("product", "About this product.")]
ComponentFilter = Annotated[list[str] | None, several("component", "About this component.")]
VersionFilter = Annotated[list[str] | None, several("product_version", "About this version.")]
TagFilter = Annotated[list[str] | None, several("tag", "With this tag.")]
SignatureFilter = Annotated[list[str] | None, several("signature", "With this error signature.")]
NumberFilter = Annotated[list[str] | None, several("number", "With this number, such as `TEC-42`.")]
CustomFilter = Annotated[
    list[str] | None,
    QueryParameter(
        name="custom",
        max_items=FILTERS_MAX,
        description="With this value of a custom field, as `key:value`: `browser:Firefox`, `amount:12.5`,"
        " `urgent:true`. Several: all of them.",
    ),
]
WaitingFilter = Annotated[
    bool | None, QueryParameter(name="waiting", description="Whether the customer waits for a reply.")
]
QueryFilter = Annotated[
    str | None,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=SEARCH_MAX,
        description='Words in the ticket, its messages and files, all of them; `"a phrase"`, `or`, `-not`.',
    ),
]
UpdatedAfter = Annotated[
    datetime | None, QueryParameter(name="updated_after", description="Changed at this time or later.")
]
UpdatedBefore = Annotated[
    datetime | None, QueryParameter(name="updated_before", description="Changed before this time.")
]
