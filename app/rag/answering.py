"""From a question to an answer: retrieve, then write without a database, show only what is verified.

``retrieve`` needs a session, ``compose`` does not: a slow model holds no connection. ``compose`` yields each
statement the moment it is verified and ends with the ``Composition`` to store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from app.knowledge import Outcome, RecordStatement, Told
from app.rag.abstention import NOTHING_FOUND, WEAK_EVIDENCE, confidence, outcome_for
from app.rag.completions import Completer, CompletionUnavailableError
from app.rag.embeddings import Embedder, EmbeddingUnavailableError, Vectors
from app.rag.evidence import Composition, Evidence, Material, Statement, Turn
from app.rag.extractive import extract
from app.rag.followup import stand_alone
from app.rag.prompts import REWRITE_TOKENS, rewrite_prompt
from app.rag.retrieval import Hit, Retriever, Scope
from app.rag.tokens import Tokenizer
from app.rag.writing import Writer

EXTRACTIVE = "extractive"
READER_LEFT = "reader_left"
HITS = 10
REWRITE_SECONDS = 10.0  # a reader waits for the rewriting in silence; then the topic is carried over by hand
NO_RECORDS = "no_such_records"
RULES = 2  # sentences of documents beside those of records
LONGER = 400  # characters by which a rewritten question may be longer


Part = Statement | RecordStatement | Composition


class Answerer:
    """Answers questions; with a completer it writes, without one it quotes."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        embedder: Embedder,
        completer: Completer | None,
        tokenizer: Tokenizer,
        rewrite_seconds: float = REWRITE_SECONDS,
    ) -> None:
        self._retriever = retriever
        self._embedder = embedder
        self._completer = completer
        self._tokenizer = tokenizer
        self._rewrite_seconds = rewrite_seconds

    async def understand(self, question: str, history: Sequence[Turn]) -> str:
        """The question as it stands alone: by the model, or by carrying over the topic."""
        if not history:
            return question
        return await self._rewrite(question, history) or stand_alone(question, history)

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
        told: Told | None = None,
    ) -> Material:
        """Search for the question; the only part that needs the database.

        ``told``: what a desk's rows say to it. Then documents are looked for only where they may add the
        rules, those that were valid at its moment.
        """
        hits: Sequence[Hit] = ()
        if told is None or (told.rules is not None and told.statements):
            if told is not None and told.as_of is not None and scope.as_of is None:
                scope = replace(scope, as_of=told.as_of)
            hits = await self._retriever.search(
                session, query=standalone, embedding=embedding, scope=scope, limit=HITS
            )
        return Material(
            question=question,
            standalone=standalone,
            history=tuple(history),
            hits=tuple(hits),
            told=told,
        )

    def compose(self, material: Material) -> Composing:
        """The answer as it comes about: ``async for part in answerer.compose(material)``."""
        writer = Writer(self._completer, self._embedder, self._tokenizer) if self._completer else None
        return Composing(material, self._embedder, writer)

    async def _rewrite(self, question: str, history: Sequence[Turn]) -> str | None:
        if self._completer is None:
            return None
        messages = rewrite_prompt(
            question, history, tokenizer=self._tokenizer, context_tokens=self._completer.context_tokens
        )
        if messages is None:
            return None
        try:
            async with asyncio.timeout(self._rewrite_seconds):
                rewritten = await self._completer.complete(messages, max_tokens=REWRITE_TOKENS)
        except (CompletionUnavailableError, TimeoutError):
            return None
        line = next((line.strip() for line in rewritten.text.splitlines() if line.strip()), "")
        return line if len(line) <= len(question) + LONGER else None


class Composing:
    """One answer on its way: statements as they are verified, then the composition."""

    def __init__(self, material: Material, embedder: Embedder, writer: Writer | None) -> None:
        self._material = material
        self._embedder = embedder
        self._writer = writer
        self._shown: list[Statement | RecordStatement] = []
        self._base = Composition(
            outcome=Outcome.ABSTAINED,
            reason=NOTHING_FOUND,
            statements=(),
            confidence=0.0,
            model=EXTRACTIVE,
            extractive=True,
            evidence=tuple(Evidence(rank, hit) for rank, hit in enumerate(material.hits, start=1)),
        )

    async def __aiter__(self) -> AsyncGenerator[Part, None]:
        told = self._material.told
        if told is None:
            async for part in self._from_documents():
                yield part
            return
        for each in told.statements:
            self._shown.append(each)
            yield each
        if not told.statements:
            yield replace(self._base, reason=NO_RECORDS)
            return
        base = replace(self._base, outcome=Outcome.ANSWERED, reason=None, confidence=1.0)
        if self._material.hits:
            async for part in self._rules():
                yield part
        yield replace(base, statements=tuple(self._shown))

    async def _rules(self) -> AsyncGenerator[Statement, None]:
        """What documents add to what rows say: a few sentences, and none unless the evidence is good."""
        told = self._material.told
        asked = self._material.standalone if told is None or told.rules is None else told.rules
        extraction = await extract(asked, self._material.hits, self._embedder)
        if outcome_for(confidence(extraction.signals)) is not Outcome.ANSWERED:
            return
        for statement in extraction.statements[:RULES]:
            self._shown.append(statement)
            yield statement

    async def _from_documents(self) -> AsyncGenerator[Statement | Composition, None]:
        asked = self._material.headline or self._material.standalone
        extraction = await extract(asked, self._material.hits, self._embedder)
        value = confidence(extraction.signals)
        outcome = outcome_for(value) if extraction.statements else Outcome.ABSTAINED
        reason = (
            None if outcome is Outcome.ANSWERED else WEAK_EVIDENCE if self._material.hits else NOTHING_FOUND
        )
        self._base = replace(self._base, outcome=outcome, reason=reason, confidence=value)
        if outcome is Outcome.ABSTAINED:
            yield self._base
            return
        if self._writer is not None:
            async for statement in self._writer.write(self._material):
                self._shown.append(statement)
                yield statement
            if self._writer.settled:
                yield self._writer.complete(self._base)
                return
        self._writer = None  # from here on it is quoted
        for statement in extraction.statements:
            self._shown.append(statement)
            yield statement
        yield replace(self._base, statements=tuple(extraction.statements))

    def interrupted(self) -> Composition:
        """What there is when the reader leaves before the end."""
        so_far = self._base if self._writer is None else self._writer.complete(self._base)
        outcome = Outcome.CAVEAT if self._shown else Outcome.ABSTAINED
        return replace(so_far, outcome=outcome, reason=READER_LEFT, statements=tuple(self._shown))
