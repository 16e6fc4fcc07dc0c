"""The loop guard: mail that nobody wrote to us is never answered and makes nothing.

Pure: what it takes to know is in the mail and in our own addresses. Sources: RFC 3834 (Auto-Submitted and
Precedence), RFC 2919 (List-Id), RFC 3464 and RFC 6522 (reports), [MS-OXCMAIL] (X-Auto-Response-Suppress).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from app.mail.bodies import media_type
from app.mail.constants import Verdict
from app.mail.reading import Mail

LOOP_HEADER = "x-loop"
BULK = frozenset({"bulk", "list", "junk", "auto_reply"})
SUPPRESSING = frozenset({"all", "oof", "autoreply"})
NULL_PATH = re.compile(r"\s*<\s*>\s*")
# What bounces come from when a server leaves out the empty return path.
BOUNCING = ("mailer-daemon@", "postmaster@")
REPORT = "multipart/report"
REPORT_TYPE = re.compile(r"report-type\s*=\s*\"?([a-z-]{1,60})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Guarded:
    """Why a mail goes no further."""

    verdict: Verdict
    reason: str


def guard(mail: Mail, *, own_addresses: Collection[str], loop_mark: str | None) -> Guarded | None:
    """None for a mail that a person may have written. ``own_addresses`` in lower case, without tokens;
    ``loop_mark``: what our own mails carry in ``X-Loop``.
    """
    if loop_mark is not None and loop_mark in {each.strip() for each in mail.headers.get(LOOP_HEADER, ())}:
        return Guarded(Verdict.loop, "x_loop")
    if without_token(mail.sender) in own_addresses:
        return Guarded(Verdict.loop, "own_address")
    return _bounce(mail) or _automatic(mail)


def _bounce(mail: Mail) -> Guarded | None:
    is_report = media_type(mail.message) == REPORT
    report = REPORT_TYPE.search(mail.header("content-type"))
    if is_report and report and report[1].lower() == "delivery-status":
        return Guarded(Verdict.bounce, "delivery_status")
    if NULL_PATH.fullmatch(mail.header("return-path")):
        return Guarded(Verdict.bounce, "null_return_path")
    if mail.sender.startswith(BOUNCING):
        return Guarded(Verdict.bounce, "mailer_daemon")
    return Guarded(Verdict.ignored_auto, "report") if is_report else None


def _automatic(mail: Mail) -> Guarded | None:
    submitted = _keyword(mail, "auto-submitted")
    suppressed = {each.strip().lower() for each in mail.header("x-auto-response-suppress").split(",")}
    reasons = {
        "auto_submitted": submitted not in ("", "no"),
        "precedence": _keyword(mail, "precedence") in BULK,
        "list_id": "list-id" in mail.headers,
        "auto_response_suppress": bool(suppressed & SUPPRESSING),
    }
    found = next((reason for reason, applies in reasons.items() if applies), None)
    return Guarded(Verdict.ignored_auto, found) if found else None


def _keyword(mail: Mail, header: str) -> str:
    """The first word of a header, without parameters and comments."""
    return re.split(r"[;(\s]", mail.header(header).strip().lower(), maxsplit=1)[0]


def without_token(address: str) -> str:
    """``support+abc@example.com`` is an address of ``support@example.com``."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
