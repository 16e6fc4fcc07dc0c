"""Answers written by a language model, shown only as far as they are verified.

The model's stream is cut into sentences; each leaves the moment it is verified, an unsupported one is
dropped. When nothing of a draft stands, one repair call follows. Any failure of the endpoint ends the
writing quietly: what was shown stays shown, and when nothing was, the caller quotes instead.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from app.knowledge import Outcome
from app.rag.completions import Completer, CompletionUnavailableError
from app.rag.embeddings import Embedder
from app.rag.evidence import Composition, Material, Statement
from app.rag.language import ABBREVIATION
from app.rag.prompts import NOT_FOUND, Prompt, answer_prompt, answer_tokens, repair_prompt
from app.rag.tokens import Tokenizer
from app.rag.verification import verify

MODEL_FOUND_NOTHING = "model_found_nothing"
UNSUPPORTED_DROPPED = "unsupported_sentences_dropped"
INTERRUPTED = "completion_interrupted"
LONGEST_DRAFT = 20_000  # characters; a model that does not stop is stopped
NEARLY_ALL = 0.8  # of the answer's tokens: the last sentence was probably cut off by the limit
MARKERS = r"(?:\s*(?:\[[\d,;\s^\u2013-]+\]|【[^】\n]*】))"
# Where a sentence may end, known once something that is not a marker follows: an end mark with the markers
# behind it, markers before a line break or a capital, or a line break.
END = re.compile(
    rf"(?P<mark>[.!?…]+[\"'\u201d\u2019)*]*){MARKERS}*(?=\s+[^\s\[【])"
    rf"|{MARKERS}+(?=[ \t]*\n|\s+[^\W\d_a-zß-öø-ÿ])"
    r"|[\u3002\uff01\uff1f]+(?=.)|\n"
)
ENDED = re.compile(rf"[.!?…\u3002\uff01\uff1f][\"'\u201d\u2019)*]*{MARKERS}*\s*$|{MARKERS}\s*$")
NUMBERED = re.compile(r"\s*\d{1,3}\.")


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
        window = self._completer.context_tokens
        self._prompt = prompt = answer_prompt(material, tokenizer=self._tokenizer, context_tokens=window)
        if prompt is None:
            return
        limit = answer_tokens(window)
        try:
            async with aclosing(self._completer.stream(prompt.messages, max_tokens=limit)) as pieces:
                async for sentence in self._sentences(pieces, limit):
                    if statement := await self._verified(sentence, prompt):
                        yield statement
            if not self.settled:
                again = repair_prompt(prompt, self._draft, tokenizer=self._tokenizer, context_tokens=window)
                repaired = await self._completer.complete(again, max_tokens=limit)
                self._draft, self._dropped = repaired.text, 0
                sentences, rest = split_sentences(repaired.text)
                for sentence in [*sentences, rest]:
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

    async def _verified(self, sentence: str, prompt: Prompt) -> Statement | None:
        if not sentence.strip() or NOT_FOUND in sentence:
            return None
        statement = await verify(sentence, prompt.evidence, self._embedder)
        if statement is None:
            self._dropped += 1
        elif statement.text not in {
            each.text for each in self._statements
        }:  # small models go round in circles
            self._statements.append(statement)
            return statement
        return None

    async def _sentences(self, pieces: AsyncIterator[str], limit: int) -> AsyncIterator[str]:
        rest = ""
        async for piece in pieces:
            self._draft += piece
            whole, rest = split_sentences(rest + piece)
            for sentence in whole:
                yield sentence
            if len(self._draft) > LONGEST_DRAFT:
                break
        if not rest.strip():
            return
        if ENDED.search(rest) or self._tokenizer.count(self._draft) < NEARLY_ALL * limit:
            yield rest
        else:
            self._dropped += 1


def split_sentences(text: str) -> tuple[list[str], str]:
    """Complete sentences with the markers behind them, and the rest that may still grow."""
    sentences, cut = [], 0
    for match in END.finditer(text):
        mark = match["mark"] or ""
        before = text[cut : match.start() + 1]
        if mark == "." and (ABBREVIATION.search(before) or NUMBERED.fullmatch(before)):
            continue
        sentences.append(text[cut : match.end()].strip())
        cut = match.end()
    return [sentence for sentence in sentences if sentence], text[cut:]
