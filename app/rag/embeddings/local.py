"""all-MiniLM-L6-v2 in int8 on the CPU: no key, no network, the same bytes for the same text.

Activations are scaled over the whole input of a matrix product, so a text's vector would depend on the
texts beside it in a batch (cosine down to .992). Hence one text a call, one thread a call, several calls
at once: deterministic, faster on few cores, and a tenth of the memory.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no types
from tokenizers import Tokenizer

from app.exceptions import ConfigurationError
from app.rag.embeddings import EmbeddingUnavailableError, TextTooLongError, Vectors, clean_text, weights

T = TypeVar("T")

SLICE = 64  # texts handed to the threads at once: what closing waits for, and a batch's share of the queue
MOST_THREADS = 4  # unless asked for: a container's share of a big machine is often far below its cores
NICENESS = 5  # of the threads that embed documents (Linux counts it by thread)
QUERY_CHARACTERS = 64 * 256  # far beyond the window; spares tokenising a megabyte of question


class LocalEmbedder:
    """An ``Embedder``; questions have threads of their own and never wait behind documents."""

    model: Final = f"local/{weights.NAME}"
    dimensions: Final = 384
    window: Final = 256

    def __init__(self, *, model_path: Path, tokenizer_path: Path, threads: int | None = None) -> None:
        self.tokenizer_path: Final = tokenizer_path
        self._tokenizer = Tokenizer.from_file(str(tokenizer_path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._session = _session(model_path)
        count = threads or min(MOST_THREADS, _cores())
        self._documents = ThreadPoolExecutor(count, "embed-documents", initializer=_yield_to_others)
        self._queries = ThreadPoolExecutor(count, "embed-query")
        self._closed = False

    @classmethod
    async def open(cls, cache_dir: Path, *, threads: int | None = None) -> LocalEmbedder:
        """Load the model from ``cache_dir``, quantising it there the first time (some 5 s).

        ``threads``: texts embedded at once, by default one a core up to four. Raises ``ConfigurationError``
        when the packaged files are missing or not the pinned ones, or when the cache cannot be written.
        """

        def load() -> LocalEmbedder:
            model_path = weights.quantised_model(cache_dir)
            embedder = cls(model_path=model_path, tokenizer_path=weights.tokenizer_path(), threads=threads)
            embedder._self_check()
            return embedder

        return await asyncio.to_thread(load)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimensions), np.float32)

        def embed_one(index: int) -> None:
            vectors[index] = self._vector(self._document_ids(texts[index], index))

        for start in range(0, len(texts), SLICE):
            await self._run(self._documents, embed_one, range(start, min(start + SLICE, len(texts))))
        return vectors

    async def embed_query(self, text: str) -> Vectors:
        (vector,) = await self._run(self._queries, lambda each: self._vector(self._query_ids(each)), [text])
        return vector

    async def check(self) -> str:
        started = time.perf_counter()
        await self.embed_query("Does the local model answer?")
        took = 1000 * (time.perf_counter() - started)
        return f"{self.model}: {self.dimensions} dimensions, a query in {took:.1f} ms"

    async def aclose(self) -> None:
        self._closed = True
        for pool in (self._documents, self._queries):
            await asyncio.to_thread(pool.shutdown)

    async def _run(
        self, pool: ThreadPoolExecutor, function: Callable[[Any], T], items: Sequence[Any]
    ) -> list[T]:
        if self._closed:
            raise EmbeddingUnavailableError("The local embedding model is closed")
        loop = asyncio.get_running_loop()
        futures = [loop.run_in_executor(pool, function, item) for item in items]
        try:
            return await asyncio.gather(*futures)
        finally:  # after a bad text or when the caller has left, the rest is not worth computing
            for future in futures:
                future.cancel()

    def _document_ids(self, text: str, index: int) -> list[int]:
        ids = self._ids(clean_text(text, index=index))
        if len(ids) > self.window:
            raise TextTooLongError(
                f"A text of {len(ids)} tokens does not fit the model's {self.window}",
                index=index,
                tokens=len(ids),
                window=self.window,
            )
        return ids

    def _query_ids(self, text: str) -> list[int]:
        ids = self._ids(clean_text(text[:QUERY_CHARACTERS]))
        return ids if len(ids) <= self.window else [*ids[: self.window - 1], ids[-1]]

    def _ids(self, text: str) -> list[int]:
        # Not `encode`: it keeps the GIL, and a megabyte of text would stop the event loop for two seconds.
        ids: list[int] = self._tokenizer.encode_batch_fast([text])[0].ids
        return ids

    def _vector(self, ids: Sequence[int]) -> Vectors:
        """Mean of the last hidden states over the attention mask (no padding: over all), L2-normalised."""
        tokens = np.array([ids], np.int64)
        feed = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        (hidden,) = self._session.run(None, feed)
        mean = hidden[0].mean(axis=0)
        vector: Vectors = mean / np.linalg.norm(mean)
        return vector

    def _self_check(self) -> None:
        """Refuse a model that loads and computes nonsense (an unsupported CPU, a wrong file)."""
        texts = (
            "How do I reset my password?",
            "I forgot my login credentials",
            "The invoice is due in March",
        )
        asked, same, other = (self._vector(self._query_ids(text)) for text in texts)
        if not (0.9 > asked @ same > 0.3 > asked @ other):
            raise ConfigurationError("The local embedding model computes wrong vectors on this machine")


def _session(path: Path) -> Any:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # one is kept for every length seen: 40 MB, and nothing faster
    options.log_severity_level = 3  # errors; they reach us as exceptions besides
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _cores() -> int:
    """The cores this process may use, where the system tells."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _yield_to_others() -> None:
    """Let the event loop and the questions go first when all cores are busy."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
