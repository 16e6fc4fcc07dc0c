"""Which lines of an invoice a note takes, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.billing.exceptions import NotCreditableError, UnknownReferenceError
from app.billing.utils.crediting import Billed
from app.exceptions import InvalidError


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Of an invoice's line how much, net in minor units and of its sign; None: all that is left of it."""

    line_id: UUID
    amount: int | None = None


def taken_of(asked: Sequence[Taken], billed: Mapping[UUID, Billed]) -> dict[UUID, int]:
    """The lines that are asked for, each of which has that much left.

    ``InvalidError`` for a line that is named twice, ``UnknownReferenceError`` for another invoice's,
    ``NotCreditableError`` with ``line_id`` and ``left``.
    """
    found: dict[UUID, int] = {}
    for place, each in enumerate(asked):
        if each.line_id in found:
            raise InvalidError(
                "A line is named twice.", errors=[{"field": f"lines[{place}].line_id", "message": "Twice"}]
            )
        line = billed.get(each.line_id)
        if line is None:
            raise UnknownReferenceError(
                "A line is none of this invoice's.",
                field=f"lines[{place}].line_id",
                errors=[{"field": f"lines[{place}].line_id", "message": "None of this invoice's"}],
            )
        amount = line.left if each.amount is None else each.amount
        if not line.takes(amount):
            raise NotCreditableError(
                f"Of line {place + 1} of the note, {line.left} is left to credit.",
                line_id=each.line_id,
                left=line.left,
            )
        found[each.line_id] = amount
    return found
