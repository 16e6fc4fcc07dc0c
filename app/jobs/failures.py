"""How a job's error is kept: its type and one line, without what a driver quotes of rows and parameters."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy.exc import DBAPIError

from app.exceptions import TrideskError

MESSAGE_MAX = 500  # characters


class JobFailedError(Exception):
    """What the queue stores of an attempt that failed; its text is ``Type: message``."""


class JobError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job's last attempt failed."""

    type: str
    message: str


def explain(error: BaseException) -> JobError:
    """Type and first line of an error.

    Of a driver's error only what the server says first: its detail quotes the row, SQLAlchemy's text the
    statement's parameters, and either may be a customer's words. NUL goes: Postgres stores none.
    """
    if isinstance(error, TrideskError):
        return JobError(type=error.code, message=_line(error.detail or error.title))
    if isinstance(error, DBAPIError) and error.orig is not None:
        original = error.orig.__cause__ or error.orig
        said = getattr(original, "message", None) or getattr(original, "sqlstate", None) or ""
        return JobError(type=type(original).__name__, message=_line(said))
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return explain(error.exceptions[0])
    said = getattr(error, "message", None) if hasattr(error, "sqlstate") else str(error)
    return JobError(type=type(error).__name__, message=_line(said or ""))


def as_text(error: BaseException) -> str:
    """``Type: message``, as ``read`` takes it apart."""
    explained = explain(error)
    return f"{explained.type}: {explained.message}"


def read(stored: Any) -> JobError | None:
    """The error in a row of the queue's log; None for a row without one.

    An attempt that is repeated has its reason in the context; one that was the last is the exception.
    """
    if not isinstance(stored, dict):
        return None
    kind, message = str(stored.get("exception_type", "")), str(stored.get("exception_message", ""))
    context = stored.get("additional_context")
    reason = context.get("reason") if isinstance(context, dict) else None
    if reason is not None or kind == JobFailedError.__name__:
        kind, _, message = str(reason or message).partition(": ")
    return JobError(type=kind, message=_line(message))


def _line(text: object) -> str:
    lines = str(text).replace("\0", "").strip().splitlines()
    return lines[0][:MESSAGE_MAX] if lines else ""
