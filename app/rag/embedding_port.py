"""The embedder as the other rooms see it: any text, cut to the window, and plain lists of numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.rag.embeddings import Embedder, TextTooLongError
from app.rag.tokens import TiktokenTokenizer, WordPieceTokenizer

SPECIAL_TOKENS = 2
LONGEST_TOKEN = 16  # characters; sparing the tokenizer what cannot fit anyway


class EmbeddingPort:
    """``knowledge.Embeds`` on an ``Embedder`` whose model is registered under ``model_id``."""

    def __init__(self, embedder: Embedder, *, model_id: int) -> None:
        self.model_id = model_id
        self.dimensions = embedder.dimensions
        self._embedder = embedder
        self._room = embedder.window - SPECIAL_TOKENS
        self._tokenizer = _tokenizer(embedder)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """See :class:`app.knowledge.Embeds`."""
        cut = await asyncio.to_thread(lambda: [self._cut(text) for text in texts])
        while True:
            try:
                vectors = await self._embedder.embed(cut)
            except TextTooLongError as error:  # an endpoint's model may count otherwise than the tokenizer
                index = error.extra["index"]
                cut[index] = cut[index][: len(cut[index]) // 2]
            else:
                return [[float(number) for number in vector] for vector in vectors]

    async def embed_query(self, text: str) -> list[float]:
        """See :class:`app.knowledge.Embeds`."""
        return [float(number) for number in await self._embedder.embed_query(text)]

    def _cut(self, text: str) -> str:
        return self._tokenizer.truncate(text[: self._room * LONGEST_TOKEN], self._room)


def _tokenizer(embedder: Embedder) -> TiktokenTokenizer | WordPieceTokenizer:
    path = getattr(embedder, "tokenizer_path", None)
    if path is None:
        return TiktokenTokenizer("cl100k_base")
    from tokenizers import Tokenizer  # noqa: PLC0415 - 20 MB that the other kind does not need

    return WordPieceTokenizer(Tokenizer.from_file(str(path)))
