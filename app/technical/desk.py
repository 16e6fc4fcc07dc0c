"""What the desk needs of others: settings of its own, and rooms that it meets by protocol only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.mail import Mailer


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Given to every rule that reaches beyond the desk; ``main`` makes the one that the app uses."""

    mailer: Mailer
    answers: Any = None  # documents and resolution notes; None while the models are not loaded
    embeds: Any = None
    account_facts: Sequence[Any] = ()
    reopen_window: timedelta = timedelta(days=14)  # how long a customer's reply reopens a solved ticket
    close_after: timedelta = timedelta(days=14)  # how long a solved ticket waits before it is closed
