"""Embeddings of any OpenAI-compatible endpoint, through the ``openai`` client."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Self

import msgspec
import numpy as np

from app.rag.embeddings import (
    EmbeddingMalformedError,
    EmbeddingRateLimitedError,
    EmbeddingRejectedError,
    EmbeddingUnavailableError,
    TextTooLongError,
    Vectors,
    clean_text,
)
from app.rag.embeddings.endpoint import Endpoint, Trouble

ERRORS = {
    Trouble.UNAVAILABLE: EmbeddingUnavailableError,
    Trouble.RATE_LIMITED: EmbeddingRateLimitedError,
    Trouble.REJECTED: EmbeddingRejectedError,
    Trouble.REFUSED: EmbeddingRejectedError,
    Trouble.TOO_LONG: EmbeddingRejectedError,
    Trouble.MALFORMED: EmbeddingMalformedError,
}
BATCH_TEXTS = 128
BATCH_TOKENS = 100_000  # a third of the largest request OpenAI takes, since ours are counted roughly
QUERY_SECONDS = 15.0  # a person waits; documents may wait out a rate limit instead
DOCUMENT_SECONDS = 300.0


class _Item(msgspec.Struct):
    index: int
    embedding: str | list[float]


class _Reply(msgspec.Struct):
    data: list[_Item]


def rough_tokens(text: str) -> int:
    """Tokens of a byte-pair vocabulary, guessed at four UTF-8 bytes each; enough to fill batches."""
    return 1 + len(text.encode()) // 4


class OpenAIEmbedder:
    """An ``Embedder``; several batches are under way at once, questions go beside them without queueing."""

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        model: str,
        dimensions: int,
        shorten: bool = False,
        window: int = 8191,
        concurrency: int = 4,
        timeout: float = 60.0,
        retries: int = 5,
        count_tokens: Callable[[str], int] = rough_tokens,
    ) -> None:
        """``shorten``: ask the endpoint for ``dimensions``, where it would send more by itself.

        ``timeout``: seconds of silence in a call. ``count_tokens`` guards ``window`` and fills batches.
        Raises ``ConfigurationError`` for an address or key that cannot be one.
        """
        self.model: Final = f"openai/{model}@{dimensions}" if shorten else f"openai/{model}"
        self.dimensions: Final = dimensions
        self.window: Final = window
        self._name = model
        self._options: dict[str, Any] = {"dimensions": dimensions} if shorten else {}
        self._count_tokens = count_tokens
        self._slots = asyncio.Semaphore(max(1, concurrency))
        self._endpoint = Endpoint(
            base_url=base_url, api_key=api_key, errors=ERRORS, read_timeout=timeout, retries=retries
        )

    @classmethod
    async def open(cls, *, dimensions: int | None, **settings: Any) -> Self:
        """With ``dimensions`` they are asked of the endpoint; without, one call finds out how many it sends.

        Raises ``EmbeddingUnavailableError`` when that call fails.
        """
        if dimensions is not None:
            return cls(dimensions=dimensions, shorten=True, **settings)
        probe = cls(dimensions=0, **settings)
        try:
            found = await probe._endpoint.call(lambda: probe._request(["size"]), patience=QUERY_SECONDS)
        finally:
            await probe.aclose()
        return cls(dimensions=found.shape[1], **settings)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        cleaned = [self._fitting(text, index) for index, text in enumerate(texts)]
        vectors = np.empty((len(texts), self.dimensions), np.float32)

        async def embed_batch(batch: range) -> None:
            async with self._slots:
                sent = cleaned[batch.start : batch.stop]
                vectors[batch.start : batch.stop] = await self._vectors(sent, DOCUMENT_SECONDS)

        tasks = [asyncio.create_task(embed_batch(batch)) for batch in self._batches(cleaned)]
        try:
            await asyncio.gather(*tasks)
        finally:  # one failure fails the whole call: the other batches are not worth their price
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return vectors

    async def embed_query(self, text: str) -> Vectors:
        # Two bytes a token: below the window in every script, and far more than a question has.
        shortened = text.encode("utf-8", "replace")[: 2 * self.window].decode("utf-8", "ignore")
        vector: Vectors = (await self._vectors([clean_text(shortened)], QUERY_SECONDS))[0]
        return vector

    async def check(self) -> str:
        started = time.perf_counter()
        await self.embed_query("Does the endpoint answer?")
        took = 1000 * (time.perf_counter() - started)
        return f"{self.model} at {self._endpoint.address}: {self.dimensions} dimensions in {took:.0f} ms"

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    def _fitting(self, text: str, index: int) -> str:
        text = clean_text(text, index=index)
        if (tokens := self._count_tokens(text)) > self.window:
            detail = f"A text of about {tokens} tokens does not fit the model's {self.window}"
            raise TextTooLongError(detail, index=index, tokens=tokens, window=self.window)
        return text

    def _batches(self, texts: Sequence[str]) -> Iterator[range]:
        start = filled = 0
        for index, text in enumerate(texts):
            tokens = self._count_tokens(text)
            if index > start and (filled + tokens > BATCH_TOKENS or index - start == BATCH_TEXTS):
                yield range(start, index)
                start, filled = index, 0
            filled += tokens
        if texts:
            yield range(start, len(texts))

    async def _vectors(self, texts: list[str], patience: float) -> Vectors:
        vectors = await self._endpoint.call(lambda: self._request(texts), patience=patience)
        if vectors.shape[1] != self.dimensions:
            raise self._endpoint.error(
                Trouble.REJECTED,
                f"sends {vectors.shape[1]} dimensions where {self.dimensions} are expected: "
                "check EMBEDDING_MODEL and EMBEDDING_DIMENSIONS",
            )
        return vectors

    async def _request(self, texts: list[str]) -> Vectors:
        # The raw response, checked by msgspec: the client's own models accept any JSON unseen.
        response = await self._endpoint.client.embeddings.with_raw_response.create(
            model=self._name, input=texts, encoding_format="base64", **self._options
        )
        reply = msgspec.json.decode(response.content, type=_Reply)
        items = sorted(reply.data, key=lambda item: item.index)
        if [item.index for item in items] != list(range(len(texts))):
            raise self._endpoint.error(Trouble.MALFORMED, f"sent no vector for some of {len(texts)} texts")
        rows = np.stack([_numbers(item.embedding) for item in items])
        with np.errstate(over="ignore", invalid="ignore"):  # found by the next line
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise self._endpoint.error(Trouble.MALFORMED, "sent a vector of zeros, NaN or infinity")
        unit: Vectors = (rows / lengths).astype(np.float32)
        return unit


def _numbers(embedding: str | list[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Little-endian float32 in base64, or a JSON list, which some servers send whatever was asked."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float64)
    return np.array(embedding, np.float64)
