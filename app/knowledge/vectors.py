"""Texts as vectors, for rooms that search by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Embeds(Protocol):
    """Texts to unit vectors of one registered model; rag has it, rooms that store vectors use it.

    Errors: ``UnavailableError`` when the model is away, ``UnprocessableError`` for a text that has no meaning
    to embed.
    """

    @property
    def model_id(self) -> int:
        """Its number in ``embedding_model``."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector a text, in order; a text beyond the model's window is cut to it."""
        ...

    async def embed_query(self, text: str) -> Sequence[float]:
        """The vector of what somebody waits for: it does not queue behind documents."""
        ...
