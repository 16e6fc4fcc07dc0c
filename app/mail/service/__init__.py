"""The rules of the mail room: taking in, working through, sending, delivering, suppressing, forgetting."""

from app.mail.service.delivery import Deliverer, sweep
from app.mail.service.personal import MAIL_DATA
from app.mail.service.processing import Receiver
from app.mail.service.receiving import take_in
from app.mail.service.sending import Mailer
from app.mail.service.suppressions import (
    find_unsubscription,
    remove_suppression,
    suppress,
    suppressed_because,
    unsubscribe,
)

__all__ = [
    "MAIL_DATA",
    "Deliverer",
    "Mailer",
    "Receiver",
    "find_unsubscription",
    "remove_suppression",
    "suppress",
    "suppressed_because",
    "sweep",
    "take_in",
    "unsubscribe",
]
