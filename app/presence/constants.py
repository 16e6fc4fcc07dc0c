"""Names and numbers of the presence room."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

KIND = "presence"  # event name of the stream's frames
LIFETIME = timedelta(seconds=45)  # without another beat; clients beat every 20 seconds
PURGE_SECONDS = 15
SHOWN_MAX = 50  # viewers of one case; the rest are there, but do not help to avoid a collision


class State(StrEnum):
    """What somebody does with a case. Who has left is not here any more."""

    viewing = "viewing"
    replying = "replying"
