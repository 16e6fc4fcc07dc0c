"""Mail in: the one route that a mail provider posts to."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.datastructures import State, UploadFile
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.exceptions import (
    DatabaseUnavailableError,
    InvalidError,
    TooLargeError,
    UnsupportedMediaError,
)
from app.identity import PUBLIC
from app.mail.constants import FORM_FIELDS, InboundStatus, Verdict
from app.mail.exceptions import InboundMailOffError, InvalidSignatureError
from app.mail.schemas import InboundMailForm, InboundMailReceipt
from app.mail.service import take_in
from app.mail.signatures import check_headers, verify
from app.openapi import documented

AnyRequest = Request[Any, Any, Any]
RAW = ("message/rfc822", "application/octet-stream")
MULTIPART = "multipart/form-data"


@post(
    "/email",
    operation_id="receive_email",
    status_code=202,
    summary="Take in a mail",
    opt={PUBLIC: True}
    | documented(
        raises=[InboundMailOffError, InvalidSignatureError, DatabaseUnavailableError],
        bodies={"application/octet-stream": UploadFile, MULTIPART: InboundMailForm},
    ),
)
async def receive_email(
    request: AnyRequest, state: State, session: NamedDependency[AsyncSession]
) -> InboundMailReceipt:
    """Take a raw message (RFC 5322), signed as [Standard Webhooks](https://www.standardwebhooks.com) says.

    For mail providers and the relays behind them: there is no API key, the headers `webhook-id`,
    `webhook-timestamp` and `webhook-signature` prove the sender. The body is the message itself
    (`message/rfc822` or `application/octet-stream`) or a form with it. A mail is taken in once, however often
    and by however many ways it comes; an answer of 202 means that it is stored.
    """
    settings: Settings = state.settings
    if not settings.inbound_mail_secret:
        raise InboundMailOffError("This server takes no mail: INBOUND_MAIL_SECRET is not set.")
    identity, timestamp, signatures = (
        request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    check_headers(identity=identity, timestamp=timestamp, signatures=signatures)  # before megabytes are read
    body = await request.body()
    verify(
        settings.inbound_mail_secret,
        identity=identity,
        timestamp=timestamp,
        signatures=signatures,
        body=body,
    )
    raw = await _message(request, body)
    if not raw.strip():
        raise _invalid("The message is empty")
    if len(raw) > settings.mail_max_bytes:
        raise TooLargeError(f"A mail may have at most {settings.mail_max_bytes} bytes.")
    mail, duplicate = await take_in(session, raw)
    return InboundMailReceipt(
        id=mail.id,
        status=InboundStatus(mail.status),
        verdict=Verdict(mail.verdict) if mail.verdict else None,
        duplicate=duplicate,
    )


async def _message(request: AnyRequest, body: bytes) -> bytes:
    kind = request.content_type[0]
    if kind in RAW:
        return body
    if kind != MULTIPART:
        raise UnsupportedMediaError(f"Send {' or '.join(RAW)}, or a form.")
    try:
        form = await request.form()
    except (UnicodeDecodeError, LookupError):
        raise _invalid("A field is not in the character set that it names") from None
    for name in FORM_FIELDS:
        value = form.get(name)
        if isinstance(value, UploadFile):
            return await value.read()
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
    raise _invalid(f"Send the message as {', '.join(FORM_FIELDS)}")


def _invalid(message: str) -> InvalidError:
    return InvalidError(f"email: {message}", errors=[{"field": "email", "message": message}])
