"""The numbers that people call things by: ``TEC-42``, ``BIL-7``."""

from __future__ import annotations

from dataclasses import dataclass

DIGITS_MAX = 9  # what an integer column holds


@dataclass(frozen=True, slots=True)
class Numbering:
    """Numbers of one kind of thing; ``prefix`` with its dash."""

    prefix: str

    def shown(self, number: int) -> str:
        """``TEC-42``."""
        return f"{self.prefix}{number}"

    def parse(self, text: str) -> int | None:
        """42 of ``TEC-42``, ``tec-42`` or ``42``; None for what is no number."""
        digits = text.strip().upper().removeprefix(self.prefix)
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= DIGITS_MAX else None
