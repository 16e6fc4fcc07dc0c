"""One OpenAI-compatible endpoint: its client, time limits and retries, and its failures by name.

Shared by embeddings and completions. The ``openai`` package is imported when an endpoint is made: it costs
30 MB and half a second, which a server that works locally should not pay.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from app.exceptions import ConfigurationError, UnavailableError, UnprocessableError

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

T = TypeVar("T")

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds, doubled at each attempt, less up to a quarter by chance
# What reading an answer of any shape may raise, in the client and here.
NONSENSE = (ValueError, TypeError, AttributeError, LookupError, RecursionError, msgspec.MsgspecError)
MACHINE_WORD = re.compile(r"[a-z0-9_.\-]{1,64}", re.IGNORECASE)
TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)|(too|maximum).{0,20}(long|length|tokens)", re.IGNORECASE
)

logger = logging.getLogger(__name__)


class Trouble(StrEnum):
    """What can go wrong at an endpoint; each user of it has an error class for each."""

    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    REFUSED = "refused"
    TOO_LONG = "too_long"
    MALFORMED = "malformed"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A failed call: its error, and whether and when (seconds, None: unsaid) another try may help."""

    error: Exception
    transient: bool = False
    retry_after: float | None = None


class Endpoint:
    """The address, the client and the one way to call it: ``await endpoint.call(send, patience=…)``.

    Whatever ``send`` raises comes out as one of ``errors``, with a detail of one line that holds neither
    the key nor any text that was sent or received.
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        errors: Mapping[Trouble, type[UnavailableError]],
        read_timeout: float,
        retries: int,
    ) -> None:
        import openai  # noqa: PLC0415 - see the module's docstring

        self.address = _address(base_url or DEFAULT_BASE_URL)
        self._key = _header_safe(api_key)
        self._errors = errors
        self._retries = retries
        self.client: AsyncOpenAI = openai.AsyncOpenAI(
            base_url=base_url or DEFAULT_BASE_URL,
            api_key=self._key,
            # The client's own retries honour Retry-After for up to two minutes whatever the caller's
            # patience: ours give up at once when the pause would outlast it.
            max_retries=0,
            timeout=openai.Timeout(read_timeout, connect=min(CONNECT_SECONDS, read_timeout)),
        )

    def error(self, trouble: Trouble, detail: str, **extra: float) -> UnavailableError:
        """The user's error class for this trouble, naming the endpoint."""
        return self._errors[trouble](f"The model endpoint {self.address} {detail}", code=None, **extra)

    async def call(
        self, send: Callable[[], Awaitable[T]], *, patience: float, retries: int | None = None
    ) -> T:
        """``send()``, again while it fails in passing, for at most ``patience`` seconds with all pauses."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        attempt = 0
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    return await send()
            except Exception as error:  # noqa: BLE001 - whatever an endpoint does must end as a named error
                fault = self._explain(error)
            # Raised out here, the error has no context: a client's exception prints what the endpoint said.
            pause = _pause(fault, attempt)
            attempt += 1
            out_of_tries = attempt > (self._retries if retries is None else retries)
            if not fault.transient or out_of_tries or loop.time() + pause >= deadline:
                raise fault.error
            logger.info("model endpoint %s: try %d in %.1f s", self.address, attempt + 1, pause)
            await asyncio.sleep(pause)

    async def aclose(self) -> None:
        await self.client.close()

    def _explain(self, error: Exception) -> Fault:  # noqa: PLR0911 - one line for each kind of failure
        import openai  # noqa: PLC0415 - see the module's docstring

        match error:
            case UnavailableError() | UnprocessableError():
                return Fault(error=error)
            case openai.APITimeoutError() | TimeoutError():
                return self._fault(Trouble.UNAVAILABLE, "did not answer in time", transient=True)
            case openai.APIConnectionError():
                cause = type(error.__cause__).__name__
                detail = f"cannot be reached or broke off ({cause}): check OPENAI_BASE_URL"
                return self._fault(Trouble.UNAVAILABLE, detail, transient=True)
            case openai.APIStatusError():
                return self._explain_status(error)
            case _ if isinstance(error, NONSENSE):
                return self._fault(Trouble.MALFORMED, "sent an answer that is not of the OpenAI protocol")
            case openai.APIError():  # an error event inside a stream
                said = self._word(error.code) or self._word(error.type) or "no reason given"
                trouble = Trouble.TOO_LONG if TOO_LONG.search(said) else Trouble.UNAVAILABLE
                return self._fault(trouble, f"gave up ({said})", transient=True)
        return self._fault(Trouble.UNAVAILABLE, f"failed ({type(error).__name__})")

    def _explain_status(self, error: APIStatusError) -> Fault:  # noqa: PLR0911 - one line for each status
        status, code = error.status_code, self._word(error.code) or self._word(error.type)
        said, wait = f"{status} {code}".strip(), _retry_after(error.response.headers)
        if status == 429:
            transient = code != "insufficient_quota"
            detail = f"asks to slow down ({said})"
            return self._fault(Trouble.RATE_LIMITED, detail, transient=transient, retry_after=wait)
        if status in {408, 409} or status >= 500:
            return self._fault(Trouble.UNAVAILABLE, f"fails ({said})", transient=True, retry_after=wait)
        if status == 413 or TOO_LONG.search(f"{code} {error.message}"):
            return self._fault(Trouble.TOO_LONG, f"takes no text as long as this ({said})")
        if code in {"content_filter", "content_policy_violation"}:
            return self._fault(Trouble.REFUSED, f"refuses the content ({said})")
        if status in {401, 403}:
            return self._fault(Trouble.REJECTED, f"does not accept the key ({said}): check OPENAI_API_KEY")
        if status in {404, 405}:
            detail = (
                f"does not know the path or the model ({said}): check OPENAI_BASE_URL and the model's name"
            )
            return self._fault(Trouble.REJECTED, detail)
        return self._fault(Trouble.REJECTED, f"rejects the request ({said})")

    def _fault(
        self, trouble: Trouble, detail: str, *, transient: bool = False, retry_after: float | None = None
    ) -> Fault:
        extra = {} if retry_after is None else {"retry_after": retry_after}
        error = self.error(trouble, detail, **extra)
        return Fault(error=error, transient=transient, retry_after=retry_after)

    def _word(self, value: object) -> str:
        """A short machine word of an error, or nothing: free text may repeat the key or the prompt."""
        text = str(value or "")
        return text if MACHINE_WORD.fullmatch(text) and self._key not in text else ""


def _pause(fault: Fault, attempt: int) -> float:
    """Seconds until the next try: what the endpoint asks for, else exponential backoff with jitter."""
    if fault.retry_after is not None:
        return fault.retry_after
    jitter = 1 - random.random() / 4  # noqa: S311 - spreads load, guards nothing
    return float(min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * jitter)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from ``retry-after-ms`` or ``Retry-After`` (RFC 9110: seconds or a date); None if unusable."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        when = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _address(base_url: str) -> str:
    """The URL without user, password and query, for people to read."""
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise ConfigurationError("OPENAI_BASE_URL is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("OPENAI_BASE_URL must be an http:// or https:// URL with a host")
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _header_safe(api_key: str | None) -> str:
    key = (api_key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError("OPENAI_API_KEY contains characters that no HTTP header can carry")
    return key or "none"  # endpoints of one's own often want none, the client insists on one
