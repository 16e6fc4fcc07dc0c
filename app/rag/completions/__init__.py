"""Answers of a chat model at any OpenAI-compatible endpoint; every failure has a name.

UnavailableError
└── CompletionUnavailableError       503 completion_unavailable   away, too slow, or failing by itself
    ├── CompletionRateLimitedError   503 completion_rate_limited  the endpoint asks us to slow down
    ├── CompletionRejectedError      503 completion_rejected      key, address, model or request are wrong
    ├── CompletionRefusedError       503 completion_refused       the model or its filter declines
    ├── CompletionTooLongError       503 completion_too_long      the prompt exceeds the model's window
    └── CompletionMalformedError     503 completion_malformed     no protocol, no text, or cut short

A caller falls back to extractive answers on ``CompletionUnavailableError``; nothing else gets out.
``remote.OpenAICompleter`` is imported from its own module.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.exceptions import UnavailableError


class CompletionUnavailableError(UnavailableError):
    """The chat model cannot be used now."""

    code = "completion_unavailable"
    title = "Chat model unavailable"


class CompletionRateLimitedError(CompletionUnavailableError):
    """The endpoint's limit is used up; ``extra["retry_after"]`` has its seconds where it named them."""

    code = "completion_rate_limited"
    title = "Chat model rate limited"


class CompletionRejectedError(CompletionUnavailableError):
    """The endpoint refuses what we send; only a changed setting helps."""

    code = "completion_rejected"
    title = "Chat request rejected"


class CompletionRefusedError(CompletionUnavailableError):
    """The model declines to answer, or a content filter stopped it."""

    code = "completion_refused"
    title = "Chat model refused"


class CompletionTooLongError(CompletionUnavailableError):
    """The prompt and the wanted answer do not fit the model's window."""

    code = "completion_too_long"
    title = "Prompt too long"


class CompletionMalformedError(CompletionUnavailableError):
    """The answer is not of the protocol, has no text, or ends before its end."""

    code = "completion_malformed"
    title = "Chat answer malformed"


@dataclass(frozen=True)
class Message:
    """One turn of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A whole answer. ``finish_reason`` is ``length`` when it was cut at ``max_tokens``; counts may be 0."""

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completer(Protocol):
    """A chat model."""

    @property
    def model(self) -> str:
        """Name stored with the answers, e.g. ``openai/gpt-4.1-mini``."""

    @property
    def context_tokens(self) -> int:
        """Tokens of prompt and answer together."""

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Completion:
        """The whole answer, never empty; raises ``CompletionUnavailableError`` and its kin."""

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncGenerator[str]:
        """The answer in pieces as they come; a caller who stops early closes it (``contextlib.aclosing``).

        Raises as ``complete`` does, before the first piece or after any.
        """

    async def check(self) -> str:
        """One line saying that the model works; or raises ``CompletionUnavailableError``, saying why not."""

    async def aclose(self) -> None:
        """Free the connections."""
