"""Mail: in by a signed route, out by SMTP, threaded by ids and tokens, guarded against loops.

A desk takes mail by ``knowledge.InboundMail`` and sends it with a ``Mailer``; ``main`` ties them. Both
directions are off until they are configured.
"""

from app.mail.constants import RECEIVE_JOB, SEND_JOB
from app.mail.service import MAIL_DATA, Deliverer, Mailer, Receiver, sweep

__all__ = ["MAIL_DATA", "RECEIVE_JOB", "SEND_JOB", "Deliverer", "Mailer", "Receiver", "sweep"]
