"""Tables of the identity room."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Enum, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.identity.constants import Role
from app.models import Base, Identified, Timestamped

# Text with a CHECK rather than a Postgres enum: a further role is then a plain migration.
ROLE = Enum(Role, native_enum=False, length=16, values_callable=lambda roles: [role.value for role in roles])
ROLE_CHECK = "role in ('customer', 'agent', 'lead', 'admin')"


def versioned() -> Mapped[int]:
    """A column that counts the changes of its row, from 1: the row's ETag."""
    return mapped_column(server_default=text("1"), onupdate=text("version + 1"))


class Account(Identified, Timestamped, Base):
    """A customer company, by the id that the host app knows it under."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("external_id"),
        Index(None, "created_at", "id"),
        Index(None, "name", "id"),
        Index(
            "ix_account_search",
            "name",
            "external_id",
            postgresql_using="gin",
            postgresql_ops=dict.fromkeys(("name", "external_id"), "gin_trgm_ops"),
        ),
    )

    external_id: Mapped[str]
    name: Mapped[str]
    version: Mapped[int] = versioned()


class Person(Identified, Timestamped, Base):
    """A customer's or the support team's human being; ``external_id`` is the ``sub`` of their tokens.

    Of an erased one stays the row, for what refers to it, and ``erased_subject``: SHA-256 of the external id,
    by which a token that names it again is refused.
    """

    __tablename__ = "person"
    __table_args__ = (
        UniqueConstraint("external_id"),
        UniqueConstraint("erased_subject"),
        CheckConstraint(ROLE_CHECK, name="role"),
        Index(None, "created_at", "id"),
        Index(None, "name", "id"),
        Index(None, "account_id", "created_at", "id"),
        Index(None, "role", "created_at", "id"),
        Index(
            "ix_person_search",
            "name",
            "email",
            "external_id",
            postgresql_using="gin",
            postgresql_ops=dict.fromkeys(("name", "email", "external_id"), "gin_trgm_ops"),
        ),
    )

    external_id: Mapped[str | None]
    name: Mapped[str]
    email: Mapped[str | None]
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    role: Mapped[Role] = mapped_column(ROLE)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    sees_account: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = versioned()
    erased_at: Mapped[datetime | None]
    erased_subject: Mapped[bytes | None]


class ApiKey(Identified, Base):
    """An API key without its secret. ``created_by`` is the person, or else the key, that made it."""

    __tablename__ = "api_key"
    __table_args__ = (
        UniqueConstraint("prefix"),
        CheckConstraint(ROLE_CHECK, name="role"),
        # Without its person a customer's key would see no account and belong to nobody.
        CheckConstraint("role <> 'customer' or person_id is not null", name="customer_has_person"),
        Index(None, "created_at", "id"),
        Index(None, "person_id"),
    )

    prefix: Mapped[str]
    secret_hash: Mapped[bytes]
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(ROLE)
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
