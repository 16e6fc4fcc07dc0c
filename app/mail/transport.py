"""One mail to the mail server, by SMTP."""

from __future__ import annotations

import asyncio
import re
import ssl

import aiosmtplib

from app.config import Settings
from app.mail.constants import SEND_TIMEOUT, SMTP_TIMEOUT
from app.mail.exceptions import MailRefusedError, MailServerError

# "The mailbox does not exist": 5.1.x, or 550 without an enhanced status. Everything else is about the
# message, its sender or today's policy.
NO_MAILBOX = re.compile(r"\s*5\.1\.[0-36]\b")
ENHANCED = re.compile(r"\s*[245]\.\d{1,3}\.\d{1,3}\b")


async def transmit(settings: Settings, raw: bytes, *, sender: str, recipient: str) -> None:
    """Hand a message over; returns once the server has taken it.

    ``MailRefusedError`` when the server refuses this mail for good, ``MailServerError`` for everything that
    may be otherwise later: no connection, a 4xx answer, a wrong login, no TLS.
    """
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            client = await _connected(settings)
            try:
                await client.sendmail(sender, [recipient], raw)
            finally:
                client.close()  # without QUIT: the server has answered, and a failing farewell proves nothing
    except aiosmtplib.SMTPRecipientsRefused as error:
        refused = error.recipients[0]
        raise _verdict(refused.code, refused.message, about_recipient=True) from None
    except aiosmtplib.SMTPDataError as error:
        raise _verdict(error.code, error.message, about_recipient=False) from None
    except aiosmtplib.SMTPResponseException as error:  # greeting, login, sender: settings, not this mail
        raise MailServerError(f"The mail server answered {error.code}.") from None
    # Its texts may quote addresses. And a refused connection as the cause would pass for the database's.
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ssl.SSLError) as error:
        raise MailServerError(f"The mail server cannot be used: {type(error).__name__}.") from None


async def _connected(settings: Settings) -> aiosmtplib.SMTP:
    client = aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_user,
        password=settings.smtp_password,
        use_tls=settings.smtp_tls == "tls",
        start_tls=settings.smtp_tls == "starttls",
        timeout=SMTP_TIMEOUT,
    )
    await client.connect()
    return client


def _verdict(code: int, message: str, *, about_recipient: bool) -> Exception:
    if not 500 <= code <= 599:
        return MailServerError(f"The mail server answered {code}.")
    enhanced = ENHANCED.match(message)
    gone = bool(NO_MAILBOX.match(message)) if enhanced else code == 550
    reason = f"{code} {enhanced[0].strip()}" if enhanced else str(code)
    return MailRefusedError(reason, suppress=about_recipient and gone)
