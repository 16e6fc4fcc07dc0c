"""What the desk needs of others: rooms that it meets by protocol only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.knowledge import Embeds, OpenWork, Revenue
from app.mail import Mailer
from app.matching import Matcher, WordsOnly


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Given to every rule that reaches beyond the desk; ``main`` makes the one that the app uses."""

    mailer: Mailer
    embeds: Embeds | None = None  # without it texts are compared by their words
    revenue: Sequence[Revenue] = ()
    open_work: Sequence[OpenWork] = ()

    @property
    def matcher(self) -> Matcher:
        """Compares requests by words and meaning; by words alone while the model is not loaded."""
        return Matcher(self.embeds or WordsOnly())
