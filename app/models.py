"""The declarative base: constraint names that migrations can rely on, ids and times made by the database.

Server defaults, so that plain SQL inserts get them too. ``uuidv7()`` is Postgres 18's own; the first
migration makes a function of the same name on older servers.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Root of every mapped class."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy reads the plain dict


class Identified:
    """A UUIDv7 key: sorts by creation, reveals no count."""

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))


class Timestamped:
    """When the row was made and last changed, UTC."""

    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"), onupdate=text("now()"))
