"""Macros: canned replies with variables, and what is to be done beside them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from app.conversations.constants import BODY_MAX_BYTES
from app.conversations.schemas import MessageView
from app.identity.schemas import NAME_PATTERN
from app.technical.constants import (
    DESCRIPTION_MAX,
    NAME_MAX,
    TAGS_MAX,
    MacroKind,
    Priority,
    Severity,
    Status,
    Visibility,
)
from app.technical.schemas.tickets import Custom, Tag, TicketView

UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

MacroName = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Ask for a log file"])
]
About = Annotated[str, Meta(max_length=DESCRIPTION_MAX, pattern=r"^[^\x00]*$", description="For the staff.")]
Template = Annotated[
    str,
    Meta(
        max_length=BODY_MAX_BYTES,
        pattern=r"^[^\x00]*$",
        description="Markdown; empty: nothing is written. Variables: `{{ticket.number}}`, `.subject`,"
        " `.status`, `.priority`, `.severity`, `.product`, `.component`, `.product_version`, `.environment`,"
        " `.custom.key`; `{{requester.name}}`, `{{account.name}}`, `{{agent.name}}`, `{{team.name}}`. What"
        " stands for them is text, whatever it looks like; of the ticket, as it is before the macro.",
        examples=["Hello {{requester.name}}, please send us the log file of {{ticket.product}}."],
    ),
]
SharedWith = Annotated[
    Visibility,
    Meta(
        description="`personal`: its maker's alone; `team`: that of `team_id`, changed by its members and by"
        " leads; `shared`: all the staff's, changed by leads."
    ),
]
TagList = Annotated[list[Tag], Meta(max_length=TAGS_MAX)]
Assignee = Annotated[
    str,
    Meta(
        pattern=rf"^(me|none|{UUID_PATTERN})$",
        description="An id; `me`: whoever applies it; `none`: nobody.",
        examples=["me"],
    ),
]


class MacroActions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a macro changes of a ticket; what is left out or null stays."""

    status: Annotated[
        Status | None, Meta(description="`open`, `pending`, `on_hold`, `solved` or `closed`.")
    ] = None
    priority: Priority | None = None
    severity: Severity | None = None
    add_tags: TagList = []
    remove_tags: TagList = []
    team_id: UUID | None = None
    assignee_id: Assignee | None = None
    custom: Custom = {}


class MacroCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new macro."""

    name: MacroName
    description: About = ""
    body: Template = ""
    kind: MacroKind = MacroKind.public
    actions: MacroActions = field(default_factory=MacroActions)
    visibility: SharedWith = Visibility.personal
    team_id: Annotated[UUID | None, Meta(description="With the visibility `team` only.")] = None


class MacroUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a macro; what is left out stays."""

    name: MacroName | UnsetType = UNSET
    description: About | UnsetType = UNSET
    body: Template | UnsetType = UNSET
    kind: MacroKind | UnsetType = UNSET
    actions: MacroActions | UnsetType = UNSET
    visibility: SharedWith | UnsetType = UNSET
    team_id: UUID | UnsetType | None = UNSET


class MacroView(Struct, frozen=True, kw_only=True):
    """A canned reply with what is done beside it."""

    id: UUID
    name: str
    description: str
    body: str
    kind: MacroKind
    actions: MacroActions
    visibility: Visibility
    owner_id: Annotated[UUID | None, Meta(description="Whose it is, if it is personal.")]
    team_id: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime


class MacroPreviewCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On which ticket a macro is looked at."""

    ticket_id: UUID


class MacroPreview(Struct, frozen=True, kw_only=True):
    """What a macro would write and do."""

    body: Annotated[str, Meta(description="Markdown, its variables filled in.")]
    html: Annotated[str, Meta(description="The same, safe to show.")]
    kind: MacroKind
    actions: Annotated[MacroActions, Meta(description="With the caller's id in the place of `me`.")]


class MacroApply(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On which ticket a macro is applied."""

    ticket_id: UUID
    body: (
        Annotated[
            str,
            Meta(
                max_length=BODY_MAX_BYTES,
                description="What to write in the place of the macro's text, such as the preview after some"
                " changes; variables are not filled in. Empty: nothing is written.",
            ),
        ]
        | None
    ) = None


class MacroApplied(Struct, frozen=True, kw_only=True):
    """The ticket after a macro, and what was written on it."""

    ticket: TicketView
    message: MessageView | None
