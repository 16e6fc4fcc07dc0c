"""What the desk needs of others: settings of its own, and rooms that it meets by protocol only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.knowledge import AccountFacts, Answers, Embeds
from app.mail import Mailer
from app.matching import Matcher, WordsOnly


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Given to every rule that reaches beyond the desk; ``main`` makes the one that the app uses."""

    mailer: Mailer
    answers: Answers | None = None  # documents and resolution notes; None while the models are not loaded
    embeds: Embeds | None = None  # likewise; without it texts are compared by their words
    account_facts: Sequence[AccountFacts] = ()
    reopen_window: timedelta = timedelta(days=14)  # how long a customer's reply reopens a solved ticket
    close_after: timedelta = timedelta(days=14)  # how long a solved ticket waits before it is closed

    @property
    def matcher(self) -> Matcher:
        """Compares tickets by words and meaning; by words alone while the model is not loaded."""
        return Matcher(self.embeds or WordsOnly())
