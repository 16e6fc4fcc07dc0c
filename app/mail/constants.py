"""Names and limits of the mail room."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class InboundStatus(StrEnum):
    """How far a mail that came in has got."""

    received = "received"
    processed = "processed"
    failed = "failed"


class Verdict(StrEnum):
    """What became of a mail that came in."""

    accepted = "accepted"
    ignored_auto = "ignored_auto"
    bounce = "bounce"
    loop = "loop"
    no_desk = "no_desk"
    rejected_unreadable = "rejected_unreadable"


class OutgoingStatus(StrEnum):
    """How far a mail of ours has got."""

    queued = "queued"
    sent = "sent"
    failed = "failed"
    suppressed = "suppressed"
    bounced = "bounced"
    erased = "erased"


class SuppressionReason(StrEnum):
    """Why an address gets no mail."""

    hard_bounce = "hard_bounce"
    complaint = "complaint"
    unsubscribed = "unsubscribed"
    manual = "manual"


RECEIVE_JOB = "mail_receive"
SEND_JOB = "mail_send"

EVERYTHING = "*"  # the scope of a suppression that holds for every mail
SIGNATURE_TOLERANCE = 300  # seconds, as Standard Webhooks proposes
SIGNATURES_MAX = 10  # in one header
FORM_FIELDS = ("email", "raw", "body-mime")  # where providers that post forms put the raw message
FORM_OVERHEAD = 64 * 1024  # bytes of a form around its message

MESSAGE_ID_MAX = 998  # a line of RFC 5322 has no more
ADDRESS_MAX = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets
NAME_MAX = 200
TITLE_MAX = 300
SCOPE_MAX = 40
HEADER_MAX = 16_384  # characters of one header that are looked at
PARAMETERS_MAX = 2_048  # of a part's Content-Type or Content-Disposition
REFERENCES_MAX = 50
RECIPIENTS_MAX = 100
PARTS_MAX = 1_000
ATTACHMENTS_MAX = 50
TEXT_MAX = 500_000  # characters of a message's text that are kept
FILENAME_MAX = 255

RATE_WINDOW = timedelta(hours=1)
RATE_MAX = 20  # mails of one sender to one thread, and likewise of one sender that start new ones, a window

SMTP_TIMEOUT = 20.0  # seconds for one answer of the server
SEND_TIMEOUT = 60.0  # seconds for one mail altogether
LEASE = timedelta(minutes=2)  # longer than any attempt: whoever has not reported by then is dead
BACKSTOP = timedelta(minutes=10)  # after which a queued mail whose job got lost gets another one
SWEEP_BATCH = 200
# After each failed attempt; two days in all, as RFC 5321, section 4.5.4.1, proposes four to five at most.
RETRY_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120, 240, 480, 720, 1200))
