"""Texts to vectors: what every embedder promises, and how it fails.

UnavailableError
└── EmbeddingUnavailableError     503 embedding_unavailable   away, too slow, or failing by itself
    ├── EmbeddingRateLimitedError 503 embedding_rate_limited  the endpoint asks us to slow down
    ├── EmbeddingRejectedError    503 embedding_rejected      key, address, model or dimensions are wrong
    └── EmbeddingMalformedError   503 embedding_malformed     the endpoint's answer makes no sense
UnprocessableError
└── EmbeddingTextError            422 embedding_text_invalid
    ├── EmptyTextError            422 embedding_text_empty
    └── TextTooLongError          422 embedding_text_too_long

``local.LocalEmbedder`` and ``remote.OpenAIEmbedder`` are imported from their own modules: each pulls in a
library that costs some 30 MB and half a second, which a process using the other one should not pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.exceptions import UnavailableError, UnprocessableError

Vectors = NDArray[np.float32]


class EmbeddingUnavailableError(UnavailableError):
    """The embedding model cannot be used now; the same texts may be embedded later."""

    code = "embedding_unavailable"
    title = "Embedding model unavailable"


class EmbeddingRateLimitedError(EmbeddingUnavailableError):
    """The endpoint's limit is used up; ``extra["retry_after"]`` has its seconds where it named them."""

    code = "embedding_rate_limited"
    title = "Embedding model rate limited"


class EmbeddingRejectedError(EmbeddingUnavailableError):
    """The endpoint refuses what we send; only a changed setting helps."""

    code = "embedding_rejected"
    title = "Embedding request rejected"


class EmbeddingMalformedError(EmbeddingUnavailableError):
    """The endpoint's answer is no list of usable vectors."""

    code = "embedding_malformed"
    title = "Embedding answer malformed"


class EmbeddingTextError(UnprocessableError):
    """A text that cannot be embedded; ``extra["index"]`` is its place in the batch."""

    code = "embedding_text_invalid"
    title = "Text cannot be embedded"


class EmptyTextError(EmbeddingTextError):
    """Nothing but white space: it has no meaning to embed."""

    code = "embedding_text_empty"


class TextTooLongError(EmbeddingTextError):
    """More tokens than the model reads; the chunker has to cut, an embedder never does so silently."""

    code = "embedding_text_too_long"


class Embedder(Protocol):
    """A model that turns texts into unit vectors, so that a dot product is a cosine."""

    @property
    def model(self) -> str:
        """Stable name stored beside the vectors, e.g. ``local/all-MiniLM-L6-v2-int8``."""

    @property
    def dimensions(self) -> int:
        """Length of every vector."""

    @property
    def window(self) -> int:
        """Most tokens of one text, the model's special tokens included."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Documents, as float32 of shape ``(len(texts), dimensions)``, rows L2-normalised, in order.

        Raises ``EmptyTextError`` and ``TextTooLongError`` for a bad text, ``EmbeddingUnavailableError``
        and its kin otherwise; nothing is returned for a batch that fails in part.
        """

    async def embed_query(self, text: str) -> Vectors:
        """One question, as float32 of shape ``(dimensions,)``; cut to the window when it is longer."""

    async def check(self) -> str:
        """One line saying that the model works; raises ``EmbeddingUnavailableError`` saying what is wrong."""

    async def aclose(self) -> None:
        """Free threads and connections; embedding afterwards raises ``EmbeddingUnavailableError``."""


def clean_text(text: str, *, index: int = 0) -> str:
    """The text without lone surrogates, which neither tokenizers nor UTF-8 can take.

    Raises ``EmptyTextError`` when nothing is left to embed.
    """
    if not text or text.isspace():
        raise EmptyTextError("An empty text cannot be embedded", index=index)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
