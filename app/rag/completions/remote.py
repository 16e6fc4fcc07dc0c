"""Completions of any OpenAI-compatible endpoint, through the ``openai`` client."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from app.rag.completions import (
    Completion,
    CompletionMalformedError,
    CompletionRateLimitedError,
    CompletionRefusedError,
    CompletionRejectedError,
    CompletionTooLongError,
    CompletionUnavailableError,
    Message,
)
from app.rag.completions.wire import StreamedAnswer, read_completion
from app.rag.embeddings.endpoint import Endpoint, Trouble

if TYPE_CHECKING:
    from openai import BadRequestError

ERRORS = {
    Trouble.UNAVAILABLE: CompletionUnavailableError,
    Trouble.RATE_LIMITED: CompletionRateLimitedError,
    Trouble.REJECTED: CompletionRejectedError,
    Trouble.REFUSED: CompletionRefusedError,
    Trouble.TOO_LONG: CompletionTooLongError,
    Trouble.MALFORMED: CompletionMalformedError,
}


class OpenAICompleter:
    """A ``Completer`` through the ``openai`` client.

    A call may be tried again until its first text is there, never afterwards.
    """

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        model: str,
        context_tokens: int = 8192,
        timeout: float = 60.0,
        silence: float = 30.0,
        retries: int = 2,
    ) -> None:
        """``timeout``: seconds for a whole answer with all tries; ``silence``: seconds
        between two pieces of a streamed one (its first may take as long as a prompt takes to read).

        Raises ``ConfigurationError`` for an address or key that cannot be one.
        """
        self.model: Final = f"openai/{model}"
        self.context_tokens: Final = context_tokens
        self._name = model
        self._timeout, self._silence = timeout, silence
        self._unsupported: set[str] = set()
        self._endpoint = Endpoint(
            base_url=base_url,
            api_key=api_key,
            errors=ERRORS,
            read_timeout=timeout,
            retries=retries,
        )

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Completion:
        completion = await self._endpoint.call(
            lambda: self._complete(messages, max_tokens, temperature), patience=self._timeout
        )
        if not completion.text.strip():
            raise self._endpoint.error(Trouble.MALFORMED, f"sent no text ({completion.finish_reason})")
        return completion

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncGenerator[str]:
        started = time.monotonic()
        reading, text = await self._endpoint.call(
            lambda: self._begin(messages, max_tokens, temperature), patience=self._timeout
        )
        patience = self._timeout - (time.monotonic() - started)
        try:
            while text:
                yield text
                # Only the waiting for the model counts: a slow reader must not use the answer's time up.
                asked = time.monotonic()
                wait = min(patience, self._silence)
                text = await self._endpoint.call(reading.next_text, patience=wait, retries=0)
                patience -= time.monotonic() - asked
        finally:
            await reading.aclose()

    async def check(self) -> str:
        started = time.perf_counter()
        ask = [Message("user", "Reply with OK.")]
        await self._endpoint.call(lambda: self._complete(ask, 16, 0.0), patience=self._timeout, retries=0)
        took = 1000 * (time.perf_counter() - started)
        return f"{self.model} at {self._endpoint.address}: answers in {took:.0f} ms"

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def _complete(self, messages: Sequence[Message], max_tokens: int, temperature: float) -> Completion:
        create = self._endpoint.client.chat.completions.with_raw_response.create
        response = await self._adapted(create, messages, max_tokens, temperature)
        return read_completion(response.content, self._endpoint)

    async def _begin(
        self, messages: Sequence[Message], max_tokens: int, temperature: float
    ) -> tuple[StreamedAnswer, str]:
        """An open stream and its first text, so that everything up to there can be tried again."""
        create = self._endpoint.client.chat.completions.create
        reading = StreamedAnswer(
            self._endpoint, await self._adapted(create, messages, max_tokens, temperature, stream=True)
        )
        try:
            text = await reading.next_text()
            if not text:
                raise self._endpoint.error(Trouble.MALFORMED, "sent no text")
        except BaseException:
            await reading.aclose()
            raise
        return reading, text

    async def _adapted(
        self,
        create: Callable[..., Awaitable[Any]],
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        **options: Any,
    ) -> Any:
        """The call in the parameters this model knows, found out by being refused the common ones."""
        import openai  # noqa: PLC0415 - loaded by the endpoint already, and only there

        turns = [{"role": each.role, "content": _utf8(each.content)} for each in messages]
        while True:
            limit = "max_completion_tokens" if "max_tokens" in self._unsupported else "max_tokens"
            sent: dict[str, Any] = {limit: max_tokens, "temperature": temperature, **options}
            if "temperature" in self._unsupported:
                del sent["temperature"]
            try:
                return await create(model=self._name, messages=turns, **sent)
            except openai.BadRequestError as error:
                if not _names_unsupported(error, sent):
                    raise
                self._unsupported.add(str(error.param))


def _utf8(text: str) -> str:
    """The text with lone surrogates replaced, which no JSON body can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _names_unsupported(error: BadRequestError, sent: dict[str, Any]) -> bool:
    """Whether a parameter that we can do without was refused (OpenAI's reasoning models do that)."""
    known = error.code in {"unsupported_parameter", "unsupported_value"}
    return known and error.param in {"max_tokens", "temperature"} and error.param in sent
