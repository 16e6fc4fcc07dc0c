"""Completions through the openai client: what comes out, and that nothing but named errors does."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import traceback
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exceptions import ConfigurationError, UnavailableError
from app.rag.completions import (
    CompletionMalformedError,
    CompletionRateLimitedError,
    CompletionRefusedError,
    CompletionRejectedError,
    CompletionTooLongError,
    CompletionUnavailableError,
    Message,
)
from app.rag.completions.remote import OpenAICompleter
from app.rag.embeddings import endpoint
from tests.openai_server import Cut, Failure, Hang, OpenAIServer, Raw, Refusal, Reply, Slow

KEY = "sk-very-secret"
ASK = [Message("system", "Be brief."), Message("user", "What does the Pro plan cost?")]


@pytest.fixture(scope="module")
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def model(server, monkeypatch):
    server.requests.clear()
    server.default = "OK."
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.001)
    yield server
    assert not server._chat, "a test scripted more than was asked for"


@pytest.fixture
async def completer(model):
    made = OpenAICompleter(base_url=model.url, api_key=KEY, model="m", timeout=5)
    yield made
    await made.aclose()


async def streamed(completer, **options):
    async with aclosing(completer.stream(ASK, **{"max_tokens": 50, **options})) as pieces:
        return [piece async for piece in pieces]


async def test_a_reply_comes_with_its_reason_and_counts(model, completer):
    model.script(Reply("It costs 12 euros.", finish_reason="length"))
    completion = await completer.complete(ASK, max_tokens=50, temperature=0.3)
    assert completion.text == "It costs 12 euros."
    assert completion.finish_reason == "length"
    assert (completion.prompt_tokens, completion.completion_tokens) == (8, 4)
    (call,) = model.requests
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert call.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What does the Pro plan cost?"},
        ],
        "max_tokens": 50,
        "temperature": 0.3,
    }


async def test_a_stream_comes_piece_by_piece_before_its_end(model, completer):
    model.script(Hang("It costs"))
    async with aclosing(completer.stream(ASK, max_tokens=50)) as pieces:
        assert [await anext(pieces), await anext(pieces)] == ["It ", "costs"]


async def test_a_stream_has_the_whole_text_and_white_space(model, completer):
    model.script("It costs\n\n  12 €, naïvely. ")
    assert "".join(await streamed(completer)) == "It costs\n\n  12 €, naïvely. "


@pytest.mark.parametrize(
    ("step", "error", "tries"),
    [
        (Failure(500), CompletionUnavailableError, 3),
        (Failure(503, "overloaded"), CompletionUnavailableError, 3),
        (Failure(429, "rate_limit_exceeded", retry_after=0.001), CompletionRateLimitedError, 3),
        (Failure(429, "insufficient_quota"), CompletionRateLimitedError, 1),
        (Failure(401, "invalid_api_key", f"Incorrect key {KEY}"), CompletionRejectedError, 1),
        (Failure(401, KEY, f"Incorrect key {KEY}"), CompletionRejectedError, 1),
        (Failure(404, "model_not_found"), CompletionRejectedError, 1),
        (Failure(400, "context_length_exceeded"), CompletionTooLongError, 1),
        (Failure(400, None, "exceeds the available context size"), CompletionTooLongError, 1),
        (Failure(413), CompletionTooLongError, 1),
        (Failure(400, "content_filter"), CompletionRefusedError, 1),
        (Failure(422, "bad_thing"), CompletionRejectedError, 1),
        (Refusal(), CompletionRefusedError, 1),
        (Reply("So far", finish_reason="content_filter"), CompletionRefusedError, 1),
        (Reply(""), CompletionMalformedError, 1),
        (Raw(), CompletionMalformedError, 1),
        (Raw(b""), CompletionMalformedError, 1),
        (Raw(b"\xff\xfe"), CompletionMalformedError, 1),
        (Raw(b'{"choices": []}'), CompletionMalformedError, 1),
        (Raw(b'{"choices": null}'), CompletionMalformedError, 1),
        (Raw(b'{"choices": [{"message": {"content": ["a"]}}]}'), CompletionMalformedError, 1),
        (Raw(b"[" * 100_000), CompletionMalformedError, 1),
        (Raw(b"<html>login</html>", "text/html"), CompletionMalformedError, 1),
        (Cut("Half of"), CompletionUnavailableError, 3),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_every_failure_of_a_plain_call_has_its_name_and_hides_the_key(
    model, completer, step, error, tries
):
    model.script(*[step] * tries)
    with pytest.raises(CompletionUnavailableError) as caught:
        await completer.complete(ASK, max_tokens=50)
    assert type(caught.value) is error
    assert len(model.requests) == tries
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert "Pro plan" not in shown
    assert caught.value.__context__ is None
    assert model.url.removesuffix("/v1") in caught.value.detail
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    ("step", "error", "tries"),
    [
        (Failure(500), CompletionUnavailableError, 3),
        (Failure(429, retry_after=0.001), CompletionRateLimitedError, 3),
        (Failure(400, "context_length_exceeded"), CompletionTooLongError, 1),
        (Refusal(), CompletionRefusedError, 1),
        (Cut(), CompletionUnavailableError, 3),
        (Cut("Half of"), CompletionUnavailableError, 1),
        (Reply("Half of", finish_reason=None), CompletionMalformedError, 1),
        (Reply("Half of", finish_reason="content_filter"), CompletionRefusedError, 1),
        (Reply(""), CompletionMalformedError, 1),
        (Raw(), CompletionMalformedError, 1),
        (Raw(b'data: {"choices": [{"de', "text/event-stream"), CompletionMalformedError, 1),
        (Raw(b"data: 7\n\n", "text/event-stream"), CompletionMalformedError, 1),
        (Raw(b'data: {"choices": 7}\n\n', "text/event-stream"), CompletionMalformedError, 1),
        (Raw(b'data: {"choices": [{"delta": 7}]}\n\n', "text/event-stream"), CompletionMalformedError, 1),
        (Raw(b"data: \xff\n\n", "text/event-stream"), CompletionMalformedError, 1),
        (Raw(b"<html></html>", "text/html"), CompletionMalformedError, 1),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_every_failure_of_a_stream_has_its_name(model, completer, step, error, tries):
    model.script(*[step] * tries)
    with pytest.raises(CompletionUnavailableError) as caught:
        await streamed(completer)
    assert type(caught.value) is error
    assert len(model.requests) == tries
    assert caught.value.__context__ is None


async def test_an_error_event_inside_a_stream_is_unavailable(model, completer):
    event = b'data: {"error": {"message": "sk-very-secret", "code": "server_error"}}\n\n'
    model.script(Reply("Fine"), *[Raw(event, "text/event-stream")] * 3)
    assert await streamed(completer) == ["Fine"]
    with pytest.raises(CompletionUnavailableError, match="server_error") as caught:
        await streamed(completer)
    assert KEY not in str(caught.value)


async def test_what_fails_in_passing_is_tried_again_before_the_first_token(model, completer):
    model.script(Failure(500), Cut(), "Here it is.")
    assert "".join(await streamed(completer)) == "Here it is."
    model.script(Failure(502), Failure(429, retry_after="0.001"), "And here.")
    assert (await completer.complete(ASK, max_tokens=50)).text == "And here."


async def test_nothing_is_tried_again_after_the_first_token(model, completer):
    model.script(Cut("Half of"))
    async with aclosing(completer.stream(ASK, max_tokens=50)) as pieces:
        assert [await anext(pieces), await anext(pieces)] == ["Half ", "of"]
        with pytest.raises(CompletionUnavailableError):
            await anext(pieces)
    assert len(model.requests) == 1


async def test_a_pause_longer_than_the_patience_is_not_waited_for(model, completer):
    model.script(Failure(429, retry_after=60))
    started = time.monotonic()
    with pytest.raises(CompletionRateLimitedError) as caught:
        await completer.complete(ASK, max_tokens=50)
    assert time.monotonic() - started < 2
    assert caught.value.extra == {"retry_after": 60.0}


async def test_retry_after_is_waited_for(model, completer):
    model.script(Failure(429, retry_after=0.3), "Now.")
    started = time.monotonic()
    await completer.complete(ASK, max_tokens=50)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_rfc_9110_has_it(headers, seconds):
    assert endpoint._retry_after(headers) == seconds


@given(st.text())
def test_no_retry_after_breaks_the_reader(text):
    seconds = endpoint._retry_after({"retry-after": text})
    assert seconds is None or seconds >= 0


async def test_a_hanging_endpoint_costs_the_time_limit_and_no_more(model):
    completer = OpenAICompleter(base_url=model.url, api_key=KEY, model="m", timeout=0.3)
    model.script(Hang(), Hang())
    for call in (completer.complete(ASK, max_tokens=5), streamed(completer)):
        started = time.monotonic()
        with pytest.raises(CompletionUnavailableError, match="in time"):
            await call
        assert time.monotonic() - started < 2
    await completer.aclose()


async def test_a_stream_that_falls_silent_is_given_up(model):
    completer = OpenAICompleter(base_url=model.url, api_key=KEY, model="m", timeout=30, silence=0.2)
    model.script(Hang("So far"))
    with pytest.raises(CompletionUnavailableError, match="in time"):
        await streamed(completer)
    await completer.aclose()


async def test_a_drizzling_stream_ends_at_the_time_limit_whatever_it_sends(model):
    completer = OpenAICompleter(base_url=model.url, api_key=KEY, model="m", timeout=0.4)
    model.script(Slow("drip " * 1000, pause=0.05))
    started = time.monotonic()
    with pytest.raises(CompletionUnavailableError, match="in time"):
        await streamed(completer)
    assert time.monotonic() - started < 3
    await completer.aclose()


async def test_a_slow_reader_does_not_use_the_time_limit_up(model):
    completer = OpenAICompleter(base_url=model.url, api_key=KEY, model="m", timeout=1)
    model.script(Slow("one two three four five six seven eight", pause=0.15))  # 1.2 s in all
    got = []
    async with aclosing(completer.stream(ASK, max_tokens=9)) as pieces:
        async for piece in pieces:
            if not got:
                await asyncio.sleep(0.6)  # the reader's own slowness is what is tested
            got.append(piece)
    assert "".join(got).endswith("eight")
    await completer.aclose()


async def test_a_reader_who_leaves_frees_the_connection(model, completer):
    before = model._left
    model.script(Hang("So far"))
    async with aclosing(completer.stream(ASK, max_tokens=50)) as pieces:
        await anext(pieces)
    await model.departed(before + 1)


async def test_a_cancelled_call_frees_the_connection_and_stays_cancelled(model, completer):
    before = model._left
    model.script(Hang())
    task = asyncio.create_task(completer.complete(ASK, max_tokens=50))
    await model.arrived()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await model.departed(before + 1)


async def test_connections_are_used_again_after_whole_streams(model, completer):
    for _ in range(3):
        await streamed(completer)
    assert len({call.port for call in model.requests}) == 1


async def test_a_closed_port_is_unavailable_and_names_the_address_without_its_password():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://user:hunter2@127.0.0.1:{port}/v1"
    completer = OpenAICompleter(base_url=url, api_key=KEY, model="m", retries=0)
    with pytest.raises(CompletionUnavailableError, match="cannot be reached") as caught:
        await completer.check()
    assert f"http://127.0.0.1:{port}/v1" in caught.value.detail
    assert "hunter2" not in caught.value.detail
    await completer.aclose()


async def test_a_closed_completer_raises_its_own_error(model):
    completer = OpenAICompleter(base_url=model.url, api_key=KEY, model="m")
    await completer.aclose()
    with pytest.raises(CompletionUnavailableError):
        await completer.complete(ASK, max_tokens=5)


async def test_a_model_without_max_tokens_or_temperature_is_asked_in_its_own_words(model, completer):
    def reasoning(body):
        for name, code in (("max_tokens", "unsupported_parameter"), ("temperature", "unsupported_value")):
            if name in body:
                return Failure(400, code, f"Unsupported parameter: '{name}'", param=name)
        return "Thought through."

    model.default = reasoning
    first, second = await asyncio.gather(
        completer.complete(ASK, max_tokens=50), completer.complete(ASK, max_tokens=50)
    )
    assert first.text == second.text == "Thought through."
    model.requests.clear()
    await completer.complete(ASK, max_tokens=70)
    (call,) = model.requests
    assert call.body["max_completion_tokens"] == 70


async def test_an_endpoint_that_rejects_every_spelling_ends_in_an_error(model, completer):
    model.default = Failure(400, "unsupported_parameter", "no", param="max_tokens")
    with pytest.raises(CompletionRejectedError):
        await completer.complete(ASK, max_tokens=50)
    assert len(model.requests) == 2


async def test_lone_surrogates_and_a_megabyte_of_prompt_are_sent(model, completer):
    ask = [Message("user", "\ud800 " + "x" * 1_000_000)]
    assert (await completer.complete(ask, max_tokens=5)).text == "OK."
    assert model.requests[0].body["messages"][0]["content"].startswith("? x")


async def test_no_text_and_no_key_is_logged(model, completer, caplog):
    caplog.set_level(logging.INFO)
    model.script(Failure(500, message=KEY), "A secret answer.")
    await completer.complete(ASK, max_tokens=50)
    assert "try 2" in caplog.text
    for secret in (KEY, "Pro plan", "secret answer"):
        assert secret not in caplog.text


async def test_check_says_in_one_line_that_it_works_or_why_not(model, completer):
    model.script(Reply("", finish_reason="length"))
    said = await completer.check()
    assert said.startswith("openai/m at http://127.0.0.1")
    assert "\n" not in said
    model.script(Failure(401, "invalid_api_key"))
    with pytest.raises(CompletionRejectedError, match="check OPENAI_API_KEY"):
        await completer.check()


async def test_an_endpoint_without_a_key_works(model):
    completer = OpenAICompleter(base_url=model.url, api_key=None, model="m")
    assert (await completer.complete(ASK, max_tokens=5)).text == "OK."
    await completer.aclose()


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("ftp://host/v1", KEY),
        ("http://", KEY),
        ("http://host:port/v1", KEY),
        ("http://host/v1", "sk-ключ"),
        ("http://host/v1", "a\nb"),
        ("http://host/v1", "a b"),
    ],
)
def test_an_impossible_address_or_key_is_a_configuration_error_without_the_key(url, key):
    with pytest.raises(ConfigurationError) as caught:
        OpenAICompleter(base_url=url, api_key=key, model="m")
    assert key not in str(caught.value)


def test_every_error_is_unavailable_with_a_code_of_its_own():
    kinds = {
        CompletionUnavailableError,
        CompletionRateLimitedError,
        CompletionRejectedError,
        CompletionRefusedError,
        CompletionTooLongError,
        CompletionMalformedError,
    }
    assert all(issubclass(kind, CompletionUnavailableError | UnavailableError) for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
