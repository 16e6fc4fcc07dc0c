"""Names and limits of the webhooks room."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class DeliveryStatus(StrEnum):
    """Not tried yet; tried in vain and to be tried again; taken by the receiver; a test that was not."""

    PENDING = "pending"
    FAILING = "failing"
    DELIVERED = "delivered"
    FAILED = "failed"


UNDELIVERED = (DeliveryStatus.PENDING, DeliveryStatus.FAILING)


class DisabledReason(StrEnum):
    """Why nothing is sent: an admin's wish, the receiver's 410, or a last retry that failed."""

    ADMIN = "admin"
    GONE = "gone"
    FAILING = "failing"


class DeliveryError(StrEnum):
    """What came instead of a 2xx."""

    STATUS = "http_status"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    UNRESOLVABLE = "unresolvable"
    FORBIDDEN_ADDRESS = "forbidden_address"
    TLS = "tls"
    PROTOCOL = "protocol"
    UNREADABLE_EVENT = "unreadable_event"  # a fault of ours


TEST_EVENT = "webhook.test"  # goes to the endpoint that is tried, and to no other
SUBJECT = "webhook"  # what the room's own events are about

RETRIES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER = 0.1  # of a pause, on top of it: what failed together does not come back together
LONGEST_RETRY_AFTER = timedelta(hours=24)
SEND_SECONDS = 10.0  # for a whole attempt, from the name to the answer
LEASE = timedelta(seconds=60)  # longer than an attempt and the writing of its outcome
SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # noqa: S105 - what all of them begin with
SECRET_OVERLAP = timedelta(hours=24)  # during which a secret that was replaced also signs
SECRETS_MAX = 4  # that sign at once: who rotates again since an answer was lost keeps the one in use
RETENTION = timedelta(days=30)  # of a delivered message in the log

FANOUT_BATCH = 500  # events read at once for one endpoint
SENDS_PER_ENDPOINT = 8  # attempts under way in one worker
SENDS = 64
WRITES = 4  # outcomes written at once; the pool also serves requests

URL_MAX = 2048
DESCRIPTION_MAX = 500
EVENTS_MAX = 50  # filters an endpoint
EVENT_MAX = 100
RESPONSE_KEPT = 1024  # bytes of the receiver's answer
RESPONSE_READ = 16 * 1024  # an answer that goes on is cut off; a shorter one leaves the connection usable
