"""What the desk is set up with: custom fields, macros, saved views."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Identified, Timestamped

EMPTY_ARRAY = EMPTY_OBJECT = text("'{}'")
VISIBILITY_CHECK = "visibility in ('personal', 'team', 'shared')"
OWNER_CHECK = (
    "(visibility = 'personal') = (owner_id is not null) and (visibility = 'team') = (team_id is not null)"
)


class TicketField(Identified, Timestamped, Base):
    """A custom field; its values are kept in ``ticket.custom`` under its key."""

    __tablename__ = "ticket_field"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint(
            "type in ('text', 'number', 'boolean', 'date', 'select', 'multiselect', 'url')", name="type"
        ),
        CheckConstraint("required_on in ('none', 'create', 'solve')", name="required_on"),
        CheckConstraint("visible_to_customers or not editable_by_customers", name="editable"),
        Index(None, "position", "id"),
    )

    key: Mapped[str]
    label: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    type: Mapped[str]
    options: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=EMPTY_ARRAY)
    required_on: Mapped[str] = mapped_column(server_default="none")
    visible_to_customers: Mapped[bool] = mapped_column(server_default=text("false"))
    editable_by_customers: Mapped[bool] = mapped_column(server_default=text("false"))
    position: Mapped[int] = mapped_column(server_default=text("0"))
    archived: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("1"))


class Macro(Identified, Timestamped, Base):
    """A canned reply with what is to be done beside it."""

    __tablename__ = "macro"
    __table_args__ = (
        CheckConstraint("kind in ('public', 'note')", name="kind"),
        CheckConstraint(VISIBILITY_CHECK, name="visibility"),
        CheckConstraint(OWNER_CHECK, name="owner"),
        Index(None, "created_at", "id"),
        Index(None, "name", "id"),
        Index(None, "owner_id"),
        Index(None, "team_id"),
    )

    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    body: Mapped[str] = mapped_column(Text, server_default="")
    kind: Mapped[str] = mapped_column(server_default="public")
    actions: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=EMPTY_OBJECT)
    visibility: Mapped[str] = mapped_column(server_default="personal")
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey("team.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"))


class TicketView(Identified, Timestamped, Base):
    """A saved view: a filter of tickets with an order, under a name."""

    __tablename__ = "ticket_view"
    __table_args__ = (
        CheckConstraint(VISIBILITY_CHECK, name="visibility"),
        CheckConstraint(OWNER_CHECK, name="owner"),
        Index(None, "created_at", "id"),
        Index(None, "name", "id"),
        Index(None, "owner_id"),
        Index(None, "team_id"),
    )

    name: Mapped[str]
    filter: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=EMPTY_OBJECT)
    sort: Mapped[str]
    visibility: Mapped[str] = mapped_column(server_default="personal")
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey("team.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
