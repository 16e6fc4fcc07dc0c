"""From a question to an answer with sources: retrieve, then write without a database, show only what is verified.

``retrieve`` needs a session, ``compose`` does not: a slow model holds no connection. ``compose`` yields each
statement the moment it is verified and ends with the ``Composition`` to store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from app.rag.abstention import NOTHING_FOUND, WEAK_EVIDENCE, confidence, outcome_for
from app.rag.completions import Completer, CompletionUnavailableError
from app.rag.constants import Outcome
from app.rag.embeddings import Embedder, EmbeddingUnavailableError, Vectors
from app.rag.evidence import Composition, Evidence, Material, Statement, Turn
from app.rag.extractive import extract
from app.rag.followup import stand_alone
from app.rag.prompts import REWRITE_TOKENS, rewrite_prompt
from app.rag.retrieval import Retriever, Scope
from app.rag.tokens import Tokenizer
from app.rag.writing import Writer

EXTRACTIVE = "extractive"
HITS = 10


class Answerer:
    """Answers questions; with a completer it writes, without one it quotes."""

    def __init__(
        self, *, retriever: Retriever, embedder: Embedder, completer: Completer | None, tokenizer: Tokenizer
    ) -> None:
        self._retriever = retriever
        self._embedder = embedder
        self._completer = completer
        self._tokenizer = tokenizer

    async def understand(self, question: str, history: Sequence[Turn]) -> str:
        """The question as it stands alone: by the model, or by carrying over the topic."""
        if not history:
            return question
        if self._completer is not None:
            try:
                rewritten = await self._completer.complete(
                    rewrite_prompt(question, history), max_tokens=REWRITE_TOKENS
                )
            except CompletionUnavailableError:
                return stand_alone(question, history)
            first_line = rewritten.text.strip().splitlines()[0] if rewritten.text.strip() else ""
            if 0 < len(first_line) <= 4 * len(question) + 400:
                return first_line
        return stand_alone(question, history)

    async def embed(self, question: str) -> Vectors | None:
        """The question's vector; None, and a search by words alone, while the embedding endpoint is away."""
        try:
            return await self._embedder.embed_query(question)
        except EmbeddingUnavailableError:
            return None

    async def retrieve(
        self,
        session: AsyncSession,
        *,
        question: str,
        standalone: str,
        embedding: Vectors | None,
        history: Sequence[Turn],
        scope: Scope,
    ) -> Material:
        """Search for the question; the only part that needs the database."""
        hits = await self._retriever.search(session, query=standalone, embedding=embedding, scope=scope, limit=HITS)
        return Material(question=question, standalone=standalone, history=tuple(history), hits=tuple(hits))

    async def compose(self, material: Material) -> AsyncIterator[Statement | Composition]:
        """Statements as they are verified, then the composition."""
        extraction = await extract(material.standalone, material.hits, self._embedder)
        value = confidence(extraction.signals)
        outcome = outcome_for(value) if extraction.statements else Outcome.ABSTAINED
        base = Composition(
            outcome=outcome,
            reason=WEAK_EVIDENCE if outcome is not Outcome.ANSWERED else None,
            statements=(),
            confidence=value,
            model=EXTRACTIVE,
            extractive=True,
            evidence=tuple(Evidence(rank, hit) for rank, hit in enumerate(material.hits, start=1)),
        )
        if outcome is Outcome.ABSTAINED:
            yield base if material.hits else replace(base, reason=NOTHING_FOUND)
            return
        if self._completer is not None:
            writer = Writer(self._completer, self._embedder, self._tokenizer)
            async for statement in writer.write(material):
                yield statement
            if writer.settled:
                yield writer.complete(base)
                return
        for statement in extraction.statements:
            yield statement
        yield replace(base, statements=tuple(extraction.statements))
