"""What several of the desk's tables have in common."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, SmallInteger, text
from sqlalchemy.orm import Mapped, declarative_mixin, mapped_column

from app.models import Identified, Timestamped

ZERO = text("0")


def minor_units(*, required: bool = True) -> Mapped[int]:
    """A column of minor units: nothing unless given, or with ``required`` always given."""
    return mapped_column(BigInteger) if required else mapped_column(BigInteger, server_default=ZERO)


@declarative_mixin
class InCurrency:
    """Amounts of one row are minor units of one currency; 10^-exponent of it is one unit (ISO 4217)."""

    currency: Mapped[str]
    exponent: Mapped[int] = mapped_column(SmallInteger)


@declarative_mixin
class Mirrored(Identified, Timestamped):
    """What a payment provider has, as it was last heard of.

    ``account_id`` is null until it is known whose customer it is. ``seen_at``, ``seen_rank`` and
    ``seen_event`` order what is heard: see ``service.mirror``.
    """

    provider: Mapped[str]
    external_id: Mapped[str]
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_customer.id"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    seen_at: Mapped[datetime | None]
    seen_rank: Mapped[int] = mapped_column(SmallInteger, server_default=ZERO)
    seen_event: Mapped[str | None]
