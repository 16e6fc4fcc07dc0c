"""A model endpoint on loopback that speaks the OpenAI protocol, and misbehaves when told to.

Usage::

    @pytest.fixture
    def model():
        with OpenAIServer() as server:
            yield server

    async def test_something(model):
        model.script("First reply", Failure(429, retry_after=0.01), lambda body: body["model"])
        completer = OpenAICompleter(base_url=model.url, api_key="k", model="m")
        ...
        assert model.requests[0].body["messages"][0]["role"] == "system"

- ``script(*steps)`` queues what the next chat calls meet, one step a call, ``script_embeddings`` likewise for
  embedding calls. A step is a text, a function of the request's body that returns a step, or one of the
  classes below. When the queue is empty chat replies ``server.default`` (a step, too) and embeddings work.
- ``server.requests`` has every call in order: path, headers (lower case), decoded body.
- ``await server.arrived(n)`` waits until n calls have come, ``await server.departed(n)`` until n clients have
  left a ``Hang`` or a ``Slow`` reply; both raise ``TimeoutError``. No test needs to sleep.
- Embeddings are hashed bags of words (``bag_of_words``): the same text has the same vector everywhere, texts
  that share words are similar.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import uvicorn


@dataclass(frozen=True)
class Reply:
    """A text, in pieces when streamed; ``finish_reason`` None ends a stream without one."""

    text: str
    finish_reason: str | None = "stop"


@dataclass(frozen=True)
class Slow:
    """A streamed text with ``pause`` seconds before each piece (one pause before a plain reply)."""

    text: str
    pause: float


@dataclass(frozen=True)
class Failure:
    """An HTTP error with OpenAI's error object; ``retry_after`` becomes the header as it stands."""

    status: int
    code: str | None = None
    message: str = "scripted failure"
    param: str | None = None
    retry_after: float | str | None = None


@dataclass(frozen=True)
class Hang:
    """No answer (with ``text``: none after it) until the client leaves or the server stops."""

    text: str = ""


@dataclass(frozen=True)
class Cut:
    """The connection breaks after ``text`` was sent; a plain reply breaks in mid-body.

    ``told``: a streamed reply breaks only when this is set, so that what was sent has surely arrived.
    """

    text: str = ""
    told: threading.Event | None = None


@dataclass(frozen=True)
class Refusal:
    """The model declines: ``message.refusal``, or ``delta.refusal`` in a stream."""

    text: str = "I cannot help with that."


@dataclass(frozen=True)
class Raw:
    """These bytes with status 200, whatever they are; ``Raw()`` is malformed JSON."""

    body: bytes = b'{"choices": [{"mess'
    content_type: str = "application/json"


Step = str | Reply | Slow | Failure | Hang | Cut | Refusal | Raw | Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    port: int  # the client's; the same for two calls on one connection


@dataclass
class OpenAIServer:
    """See the module's docstring. ``url`` is the base URL for a client, ending in ``/v1``."""

    default: Step = "OK."
    dimensions: int = 64
    model: str = "scripted"
    requests: list[Call] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self._chat: deque[Step] = deque()
        self._embeddings: deque[Step] = deque()
        self._news = threading.Condition()
        self._left = 0
        self._failures: list[Exception] = []  # of the server itself, e.g. of a scripted function

    def script(self, *steps: Step) -> None:
        """What the next chat calls meet."""
        self._chat.extend(steps)

    def script_embeddings(self, *steps: Step) -> None:
        """What the next embedding calls meet; a text makes no sense here."""
        self._embeddings.extend(steps)

    async def arrived(self, count: int = 1, *, seconds: float = 10) -> None:
        """Wait for that many calls in all."""
        await self._wait(lambda: len(self.requests) >= count, seconds)

    async def departed(self, count: int = 1, *, seconds: float = 10) -> None:
        """Wait until that many clients in all have left before their answer's end."""
        await self._wait(lambda: self._left >= count, seconds)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            log_config=None,
            log_level="critical",
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=[ready], name="openai-server", daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        self._socket.close()
        if self._failures:
            raise self._failures[0]

    def _serve(self, ready: threading.Event) -> None:
        async def main() -> None:
            self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
            ready.set()
            await self._server.serve(sockets=[self._socket])

        asyncio.run(main())

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        def wait() -> bool:
            with self._news:
                return self._news.wait_for(condition, seconds)

        if not await asyncio.to_thread(wait):
            raise TimeoutError("the model server waited in vain")

    async def _app(
        self, scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]
    ) -> None:
        assert scope["type"] == "http"
        raw = b""
        while (event := await receive())["type"] == "http.request":
            raw += event["body"]
            if not event["more_body"]:
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        call = Call(scope["path"], headers, json.loads(raw) if raw else {}, scope["client"][1])
        with self._news:
            self.requests.append(call)
            self._news.notify_all()
        try:
            await _Exchange(self, call, receive, send).answer()
        except _CutError:
            raise
        except Exception as error:
            self._failures.append(error)
            raise

    def next_step(self, path: str) -> Step | None:
        """The step that this call meets; None where embeddings simply work."""
        if path.endswith("/embeddings"):
            return self._embeddings.popleft() if self._embeddings else None
        return self._chat.popleft() if self._chat else self.default

    def note_departure(self) -> None:
        """A client has left before its answer's end."""
        with self._news:
            self._left += 1
            self._news.notify_all()

    async def stopping(self) -> None:
        """Returns when the server is being stopped."""
        await self._stopping.wait()


class _CutError(Exception):
    """Makes uvicorn drop the connection in mid-answer."""


@dataclass
class _Exchange:
    """One call and its answer."""

    server: OpenAIServer
    call: Call
    receive: Callable[[], Any]
    send: Callable[[Any], Any]

    async def answer(self) -> None:  # noqa: PLR0911 - one line for each kind of step
        if self.call.path.endswith("/models"):
            return await self._json(
                {"object": "list", "data": [{"id": self.server.model, "object": "model"}]}
            )
        if not self.call.path.endswith(("/chat/completions", "/embeddings")):
            return await self._json(_error("unknown_url", "Unknown request URL"), status=404)
        step = self.server.next_step(self.call.path)
        while callable(step):
            step = step(self.call.body)
        if isinstance(step, Failure):
            return await self._fail(step)
        if isinstance(step, Raw):
            return await self._whole(step.body, content_type=step.content_type)
        if step is None:
            return await self._json(self._vectors())
        if isinstance(step, str):
            step = Reply(step)
        if self.call.body.get("stream"):
            return await self._stream(step)
        return await self._plain(step)

    async def _plain(self, step: Any) -> None:
        if isinstance(step, Hang):
            return await self._hang()
        if isinstance(step, Slow) and not await self._pause(step.pause):
            return None
        message = {"role": "assistant", "content": None if isinstance(step, Refusal) else step.text}
        if isinstance(step, Refusal):
            message["refusal"] = step.text
        finish = getattr(step, "finish_reason", "stop")
        choice = {"index": 0, "message": message, "finish_reason": finish}
        reply = {**self._frame("chat.completion"), "choices": [choice], "usage": self._usage(step.text)}
        if isinstance(step, Cut):
            await self._start(200, "application/json", length=len(json.dumps(reply)))
            await self._more(json.dumps(reply)[: len(json.dumps(reply)) // 2].encode())
            raise _CutError
        return await self._json(reply)

    async def _stream(self, step: Any) -> None:
        await self._start(200, "text/event-stream")
        await self._event({"role": "assistant", "content": ""})
        for piece in [] if isinstance(step, Refusal) else re.findall(r"\s*\S+\s*", step.text):
            if isinstance(step, Slow) and not await self._pause(step.pause):
                return
            await self._event({"content": piece})
        if isinstance(step, Refusal):
            await self._event({"refusal": step.text})
        if isinstance(step, Hang):
            await self._hang()
            return
        if isinstance(step, Cut):
            if step.told is not None:
                await asyncio.to_thread(step.told.wait, 30)
            raise _CutError
        finish = getattr(step, "finish_reason", "stop")
        if finish is not None:
            await self._event({}, finish_reason=finish)
        if (self.call.body.get("stream_options") or {}).get("include_usage"):
            usage = {**self._frame("chat.completion.chunk"), "choices": [], "usage": self._usage(step.text)}
            await self._more(f"data: {json.dumps(usage)}\n\n".encode())
        await self._more(b"data: [DONE]\n\n")
        await self._more(b"", last=True)

    def _vectors(self) -> dict[str, Any]:
        body, texts = self.call.body, self.call.body["input"]
        texts = [texts] if isinstance(texts, str) else texts
        rows = [bag_of_words(text, body.get("dimensions", self.server.dimensions)) for text in texts]
        encoded = body.get("encoding_format") == "base64"
        vectors = [base64.b64encode(row.tobytes()).decode() if encoded else row.tolist() for row in rows]
        data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(vectors)]
        used = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": used, "total_tokens": used}
        return {"object": "list", "model": body["model"], "data": data, "usage": usage}

    def _frame(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": self.call.body.get("model", "")}

    def _usage(self, text: str) -> dict[str, int]:
        prompt = sum(len(str(each["content"]).split()) for each in self.call.body.get("messages", []))
        answer = len(text.split())
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}

    async def _fail(self, step: Failure) -> None:
        extra = {} if step.retry_after is None else {"retry-after": str(step.retry_after)}
        body = _error(step.code, step.message, step.param)
        await self._whole(json.dumps(body).encode(), status=step.status, headers=extra)

    async def _hang(self) -> None:
        if not await self._pause(None):
            return
        raise _CutError

    async def _pause(self, seconds: float | None) -> bool:
        """Whether the client is still there afterwards; None: until it leaves or the server stops."""
        gone = asyncio.ensure_future(self.receive())
        stop = asyncio.ensure_future(self.server.stopping())
        done, waiting = await asyncio.wait({gone, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        if gone in done:
            self.server.note_departure()
        return gone not in done

    async def _event(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {**self._frame("chat.completion.chunk"), "choices": [choice]}
        await self._more(f"data: {json.dumps(chunk)}\n\n".encode())

    async def _json(self, body: dict[str, Any], *, status: int = 200) -> None:
        await self._whole(json.dumps(body).encode(), status=status)

    async def _whole(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        await self._start(status, content_type, length=len(body), headers=headers)
        await self._more(body, last=True)

    async def _start(
        self,
        status: int,
        content_type: str,
        *,
        length: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        lines = {"content-type": content_type, **(headers or {})}
        if length is not None:
            lines["content-length"] = str(length)
        pairs = [(name.encode(), value.encode()) for name, value in lines.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _more(self, body: bytes, *, last: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": not last})


def bag_of_words(text: str, dimensions: int) -> np.ndarray:
    """Each word adds ±1 at a place its hash names; unit length, float32."""
    vector = np.zeros(dimensions, np.float32)
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % dimensions] += 1 if digest[4] % 2 else -1
    if not vector.any():
        vector[0] = 1
    return vector / np.linalg.norm(vector)


def _error(code: str | None, message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
