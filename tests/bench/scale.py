"""100,000 real passages with their vectors, embedded once and kept beside the benchmark's database."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.rag.embeddings import TextTooLongError
from app.rag.embeddings.local import LocalEmbedder

RETRIED = 64  # texts embedded again when one of them is too long
SLICE = 2_000  # texts between two savings: an interrupted run goes on there


def read_corpus(path: Path, count: int) -> list[dict[str, str]]:
    """The first ``count`` passages: ``{"id", "title"?, "text"}``."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(count), lines, strict=False)]


async def embed_corpus(texts: list[str], embedder: LocalEmbedder, cache: Path) -> NDArray[np.float32]:
    """Vectors of shape ``(len(texts), dimensions)``, from ``cache`` as far as it reaches."""
    cache.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs in this loop
    parts = []
    for start in range(0, len(texts), SLICE):
        part = texts[start : start + SLICE]
        name = hashlib.sha256("\0".join((embedder.model, *part)).encode()).hexdigest()[:24]
        path = cache / f"{name}.npy"
        if not path.exists():
            slices = [part[i : i + RETRIED] for i in range(0, len(part), RETRIED)]
            vectors = np.concatenate([await _embed(each, embedder) for each in slices])
            temporary = path.with_suffix(".part.npy")
            np.save(temporary, vectors)
            temporary.replace(path)
        parts.append(np.load(path))
    return np.concatenate(parts)


async def _embed(texts: list[str], embedder: LocalEmbedder) -> NDArray[np.float32]:
    """Vectors of passages as they stand; the few beyond the model's window by their beginning."""
    texts = list(texts)
    while True:
        try:
            return await embedder.embed(texts)
        except TextTooLongError as error:
            index = error.extra["index"]
            texts[index] = texts[index][:250]
