"""What a chat endpoint sends, as far as we read it: a whole answer, or events of a stream.

Checked by msgspec, since the client's own models take any JSON unseen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from app.rag.completions import Completion
from app.rag.embeddings.endpoint import Endpoint, Trouble


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class _Piece(msgspec.Struct):
    delta: _Said | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct):
    choices: list[_Piece] | None = None


def read_completion(body: bytes, endpoint: Endpoint) -> Completion:
    """A whole answer, its text perhaps empty; raises on a refusal and on anything out of the protocol."""
    reply = msgspec.json.decode(body, type=_Reply)
    if not reply.choices:
        raise endpoint.error(Trouble.MALFORMED, "sent no choices")
    choice, usage = reply.choices[0], reply.usage or _Usage()
    _refuse(endpoint, choice.message, choice.finish_reason)
    return Completion(
        text=choice.message.content or "",
        finish_reason=choice.finish_reason or "unknown",
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


class StreamedAnswer:
    """An answer being streamed: its texts one by one, its end, and its being cut short."""

    def __init__(self, endpoint: Endpoint, stream: Any) -> None:
        self._endpoint = endpoint
        self._stream = stream
        self._events: AsyncIterator[Any] = aiter(stream)
        self._finished = False

    async def next_text(self) -> str:
        """The next piece, ``""`` at the end."""
        while (event := await self._next_event()) is not None:
            for piece in (event.choices or [])[:1]:
                delta = piece.delta or _Said()
                _refuse(self._endpoint, delta, piece.finish_reason)
                self._finished = self._finished or piece.finish_reason is not None
                if delta.content:
                    return delta.content
        if not self._finished:
            raise self._endpoint.error(Trouble.MALFORMED, "cut its answer short")
        return ""

    async def _next_event(self) -> _Event | None:
        try:
            chunk = await anext(self._events)
        except StopAsyncIteration:
            return None
        except Exception:
            if self._finished:  # the text is whole; what follows it is of no interest
                return None
            raise
        return msgspec.convert(chunk.to_dict(warnings=False), _Event)

    async def aclose(self) -> None:
        await self._stream.close()


def _refuse(endpoint: Endpoint, said: _Said, finish_reason: str | None) -> None:
    if said.refusal or finish_reason == "content_filter":
        raise endpoint.error(Trouble.REFUSED, "declines to answer")
