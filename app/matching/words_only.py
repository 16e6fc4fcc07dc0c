"""Comparing by words alone, while no model is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from app.exceptions import UnavailableError


class WordsOnly:
    """``Embeds`` of no model: nothing has a vector under it."""

    model_id = 0
    dimensions = 1

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Always ``UnavailableError``."""
        raise UnavailableError("The embedding model is not loaded.")

    async def embed_query(self, text: str) -> Sequence[float]:
        """Always ``UnavailableError``."""
        raise UnavailableError("The embedding model is not loaded.")
