"""Presence: who has a case open right now. Ephemeral: not in the log, gone after a crash.

A desk's routes, for its staff::

    others = await presence.beat(session, subject, principal=principal, state=State.viewing)  # every 20 s
    await presence.leave(session, subject, principal=principal)
    others = await presence.others(session, subject, principal=principal)

What changes is told once on the stream of events as ``presence``, which is a hint: who follows without having
the case open is told ``left`` within a minute of the last beat, and asks again after a lost connection.
"""

from app.presence.constants import PURGE_SECONDS, State
from app.presence.schemas import PresenceList, PresenceUpdate, Viewer
from app.presence.service import PRESENCE_DATA, beat, leave, others, purge

__all__ = [
    "PRESENCE_DATA",
    "PURGE_SECONDS",
    "PresenceList",
    "PresenceUpdate",
    "State",
    "Viewer",
    "beat",
    "leave",
    "others",
    "purge",
]
