"""Answers written by a language model, shown only as far as they are verified.

The model's stream is cut into sentences; each leaves the moment it is verified, an unsupported one is dropped. When
nothing of a draft stands, one repair call follows. Any failure of the endpoint ends the writing quietly: what was
shown stays shown, and when nothing was, the caller quotes instead.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from app.rag.completions import Completer, CompletionUnavailableError
from app.rag.constants import Outcome
from app.rag.embeddings import Embedder
from app.rag.evidence import Composition, Material, Statement
from app.rag.prompts import ANSWER_TOKENS, NOT_FOUND, Prompt, answer_prompt, repair_prompt
from app.rag.tokens import Tokenizer
from app.rag.verification import verify

MODEL_FOUND_NOTHING = "model_found_nothing"
UNSUPPORTED_DROPPED = "unsupported_sentences_dropped"
INTERRUPTED = "completion_interrupted"
LONGEST_DRAFT = 20_000  # characters; a model that does not stop is stopped
# A sentence is complete at its end mark and the markers behind it, once something else begins.
COMPLETE = re.compile(r"(?:[.!?…][\"'”’)]*(?:\s*\[[\d,\s]+\])*|\[[\d,\s]+\][.!?…]*|[。！？\n])(?=\s+[^\s\[]|(?<=[。！？\n]).)")


class Writer:
    """Writes one answer; afterwards ``settled`` says whether it stands."""

    def __init__(self, completer: Completer, embedder: Embedder, tokenizer: Tokenizer) -> None:
        self._completer = completer
        self._embedder = embedder
        self._tokenizer = tokenizer
        self._prompt: Prompt | None = None
        self._statements: list[Statement] = []
        self._draft = ""
        self._dropped = 0
        self._failed = False

    @property
    def settled(self) -> bool:
        """Whether the model's answer stands: something verified, or its word that nothing fits."""
        return bool(self._statements) or self._found_nothing

    @property
    def _found_nothing(self) -> bool:
        return not self._statements and not self._failed and NOT_FOUND in self._draft

    async def write(self, material: Material) -> AsyncIterator[Statement]:
        """Verified statements as they come. Raises nothing of the endpoint's failures."""
        self._prompt = prompt = answer_prompt(
            material.standalone,
            material.hits,
            material.history,
            tokenizer=self._tokenizer,
            context_tokens=self._completer.context_tokens,
        )
        try:
            async with aclosing(self._completer.stream(prompt.messages, max_tokens=self._answer_tokens)) as pieces:
                async for sentence in self._sentences(pieces):
                    if statement := await self._verified(sentence, prompt):
                        yield statement
            if not self._statements and not self._found_nothing:
                repaired = await self._completer.complete(
                    repair_prompt(prompt, self._draft[:2000]), max_tokens=self._answer_tokens
                )
                self._draft = repaired.text
                for sentence in split_sentences(repaired.text)[0] + [split_sentences(repaired.text)[1]]:
                    if statement := await self._verified(sentence, prompt):
                        yield statement
        except CompletionUnavailableError:
            self._failed = True

    def complete(self, base: Composition) -> Composition:
        """The composition of what was written, on top of what the evidence allows."""
        if not self._statements:
            outcome, reason = Outcome.ABSTAINED, MODEL_FOUND_NOTHING
        elif self._failed or self._dropped:
            outcome, reason = Outcome.CAVEAT, INTERRUPTED if self._failed else UNSUPPORTED_DROPPED
        else:
            outcome, reason = base.outcome, base.reason or ""
        return replace(
            base,
            outcome=outcome,
            reason=reason or None,
            statements=tuple(self._statements),
            model=self._completer.model,
            extractive=False,
            prompt_hash=self._prompt.hash if self._prompt else None,
            evidence=self._prompt.evidence if self._prompt else base.evidence,
        )

    @property
    def _answer_tokens(self) -> int:
        return min(ANSWER_TOKENS, self._completer.context_tokens // 4)

    async def _verified(self, sentence: str, prompt: Prompt) -> Statement | None:
        if not sentence.strip() or NOT_FOUND in sentence:
            return None
        statement = await verify(sentence, prompt.evidence, self._embedder)
        if statement is None:
            self._dropped += 1
            return None
        self._statements.append(statement)
        return statement

    async def _sentences(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        rest = ""
        async for piece in pieces:
            self._draft += piece
            whole, rest = split_sentences(rest + piece)
            for sentence in whole:
                yield sentence
            if len(self._draft) > LONGEST_DRAFT:
                break
        if rest.strip():
            yield rest


def split_sentences(text: str) -> tuple[list[str], str]:
    """Complete sentences with the markers behind them, and the rest that may still grow."""
    sentences, cut = [], 0
    for match in COMPLETE.finditer(text):
        sentences.append(text[cut : match.end()].strip())
        cut = match.end()
    return [sentence for sentence in sentences if sentence], text[cut:]
