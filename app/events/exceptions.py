"""What the events room refuses, each with a stable ``code``."""

from __future__ import annotations

from app.exceptions import RateLimitedError


class TooManyStreamsError(RateLimitedError):
    """The caller has as many streams open as it may; close one."""

    code = "too_many_streams"
    title = "Too many streams"
