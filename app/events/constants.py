"""Names and limits of the events room."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    """Who did it. Staff see how the caller proved itself, customers which side it was."""

    API_KEY = "api_key"
    TOKEN = "token"  # noqa: S105 - the name of a kind, not a secret
    SYSTEM = "system"
    STAFF = "staff"
    CUSTOMER = "customer"


class PresenceState(StrEnum):
    """What the stream says that somebody does with a case."""

    VIEWING = "viewing"
    REPLYING = "replying"
    LEFT = "left"


CHANNEL = "tridesk_events"  # notified after every commit that recorded something

NOTICES = "tridesk_notices"  # carries what streams tell and the log does not keep
NOTICES_MAX = 100  # that a stream holds for a slow reader; the oldest go first

# Configuration and machinery: for leads and admins. So is whatever is audited and no customer's matter.
ADMINISTRATIVE_SUBJECTS = ("api_key", "job", "webhook")

BEGINNING = UUID(int=0)  # as `after`: before every event

FILTERS_MAX = 50  # values of one filter
TYPE_MAX = 100
SUBJECT_TYPE_MAX = 64
NAME = r"[a-z][a-z0-9_]*"
TYPE_PATTERN = rf"^(\*|{NAME}(\.{NAME})*(\.\*)?)$"
SUBJECT_PATTERN = (
    r"^[a-z][a-z0-9_]{0,63}:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
)

HEARTBEAT = 15.0  # seconds: a comment line, and a look whether the caller may still read
RETRY = 2000  # milliseconds after which a client whose stream ended should come back
STREAM_BATCH = 100  # events read, and held in memory, at once for one stream
STREAMS_A_CALLER = 10  # at once, in one server process
READS = 4  # streams that read the database at once; the pool also serves requests

POLL = 5.0  # seconds between looks at the log that no notification asked for: one may be lost
PENDING = 0.05  # seconds until the next look while committed events wait for older transactions; doubled
LONGEST_PENDING = 1.0
GAP = 0.02  # seconds between looks, however many notifications come
DRAINING = 0.5  # seconds within which a waiting stream notices that the server stops
ROUTED = 500  # new events looked at one by one for whom they concern; with more everybody is woken
LONGEST_RECONNECT = 5.0
