"""Logging: JSON lines in production, readable lines on a terminal, the request id on each; never a body."""

from __future__ import annotations

import logging
import logging.config
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from app.config import Settings
from app.redaction import find, redact

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

CONFIGURATION = Path(__file__).parent.parent / "logging.yaml"
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class RequestIdFilter(logging.Filter):
    """Puts the current request's id on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; only adds ``request_id``."""
        record.request_id = request_id.get() or "-"
        return True


class RedactionFilter(logging.Filter):
    """Takes payment card numbers out of a record: message, ``extra`` fields and the text of its exception."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; a record without one is not changed; one that cannot be written is passed on."""
        try:
            message = record.getMessage()
            extra = {key: str(value) for key, value in vars(record).items() if key not in STANDARD}
        except Exception:  # noqa: BLE001 - whatever a wrong call of the log raises is not the caller's to bear
            return True
        if find(message):
            record.msg, record.args = redact(message), None
        vars(record).update({key: redact(shown) for key, shown in extra.items() if find(shown)})
        if record.exc_info:
            written = record.exc_text or logging.Formatter().formatException(record.exc_info)
            if find(written):
                record.exc_text, record.exc_info = redact(written), None
        return True


class OutageFilter(logging.Filter):
    """Takes the stack from what libraries write while the database is away, and says the reason instead.

    The job queue and the driver log each vain attempt with its whole stack, which tells the operator nothing
    that the reason does not. Every other error of theirs keeps its stack, and so does all of ours.
    """

    LIBRARIES = ("pgqueuer", "asyncpg", "sqlalchemy.pool")

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.name.startswith(self.LIBRARIES):
            from app.database import is_connection_lost  # noqa: PLC0415 - heavy, and needed by few records

            if is_connection_lost(error):
                reason = str(error).partition("\n")[0]
                record.msg = f"{record.getMessage()}: {type(error).__name__}: {reason}".rstrip(": ")
                record.args = record.exc_info = record.exc_text = None
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, ``extra`` fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; values that JSON has no form for become text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in STANDARD and value != "-"}
        if record.exc_text:
            line["exception"] = record.exc_text
        elif record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure_logging(settings: Settings) -> None:
    """Apply logging.yaml with the settings' level and format."""
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    chosen = settings.log_format
    if chosen == "auto":
        chosen = "text" if sys.stderr.isatty() else "json"
    configuration["handlers"]["console"]["formatter"] = chosen
    configuration["root"]["level"] = settings.log_level
    logging.config.dictConfig(configuration)
