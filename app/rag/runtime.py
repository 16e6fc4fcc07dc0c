"""What the rag room holds while a process runs: models, the parser's child processes, the searcher."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.exceptions import ConfigurationError
from app.parsing.isolation import IsolatedPool
from app.rag.answering import Answerer
from app.rag.completions import Completer
from app.rag.embedding_port import EmbeddingPort
from app.rag.embeddings import Embedder
from app.rag.ingest import Ingestor
from app.rag.preparation import ChunkingPlan
from app.rag.registry import find_model
from app.rag.retrieval import Retriever
from app.rag.tokens import TiktokenTokenizer

TARGET_TOKENS = 256
LOCAL_TARGET_TOKENS = 128  # short passages suit the small model better: see the README's figures
MAXIMUM_TOKENS = 400
SPECIAL_TOKENS = 2  # [CLS] and [SEP] of the local model's window


@dataclass(frozen=True, slots=True, kw_only=True)
class Rag:
    """The room's running parts."""

    embedder: Embedder
    embeds: EmbeddingPort
    completer: Completer | None
    retriever: Retriever
    answerer: Answerer
    ingestor: Ingestor


@asynccontextmanager
async def open_rag(settings: Settings, database: Database) -> AsyncIterator[Rag]:
    """Load the models and open the parser; everything is closed at the end of the block."""
    async with AsyncExitStack() as stack:
        embedder = await open_embedder(settings, database)
        stack.push_async_callback(embedder.aclose)
        async with database.session() as session:
            model = await find_model(session, embedder.model)
            chunks = await session.scalar(text("select coalesce(sum(chunks), 0)::float8 from corpus_delta"))
        if model is None:
            raise ConfigurationError(
                f"{embedder.model} is not registered in the database: run `tridesk migrate`"
            )
        completer = open_completer(settings)
        if completer is not None:
            stack.push_async_callback(completer.aclose)
        pool = IsolatedPool()
        stack.push_async_callback(pool.aclose)
        retriever = Retriever(
            model_id=model.id, dimensions=model.dimensions, corpus_chunks=float(chunks or 0)
        )
        yield Rag(
            embedder=embedder,
            embeds=EmbeddingPort(embedder, model_id=model.id),
            completer=completer,
            retriever=retriever,
            answerer=Answerer(
                retriever=retriever,
                embedder=embedder,
                completer=completer,
                tokenizer=TiktokenTokenizer("cl100k_base"),
            ),
            ingestor=Ingestor(
                database=database,
                embedder=embedder,
                model_id=model.id,
                plan=chunking_plan(embedder),
                pool=pool,
                parse_timeout=settings.parse_timeout,
            ),
        )


def chunking_plan(embedder: Embedder) -> ChunkingPlan:
    """How to cut for a model: never more than its window, in its own tokens where they can be counted."""
    tokenizer_file = getattr(embedder, "tokenizer_path", None)
    maximum = min(MAXIMUM_TOKENS, embedder.window - SPECIAL_TOKENS)
    target = TARGET_TOKENS if tokenizer_file is None else LOCAL_TARGET_TOKENS
    return ChunkingPlan(tokenizer_file=tokenizer_file, target=min(target, maximum), maximum=maximum)


async def open_embedder(settings: Settings, database: Database | None = None) -> Embedder:
    """The embedding model that the settings choose: the local one unless EMBEDDING_MODEL names another.

    Each kind is imported only when it is used: the other's library is memory for nothing.
    """
    if settings.embedding_model is None:
        from app.rag.embeddings.local import LocalEmbedder  # noqa: PLC0415 - see above

        return await LocalEmbedder.open(settings.data_dir / "models")
    from app.rag.embeddings.remote import OpenAIEmbedder  # noqa: PLC0415 - see above

    options: dict[str, Any] = {
        "base_url": settings.openai_base_url,
        "api_key": settings.openai_api_key,
        "model": settings.embedding_model,
        "window": settings.embedding_window,
        "concurrency": settings.embedding_concurrency,
        "timeout": settings.openai_timeout,
    }
    if settings.embedding_dimensions is None and database is not None:
        # A server must start while the endpoint is away: the database remembers how long the vectors are.
        async with database.session() as session:
            known = await find_model(session, f"openai/{settings.embedding_model}")
        if known is not None:
            return OpenAIEmbedder(dimensions=known.dimensions, **options)
    return await OpenAIEmbedder.open(dimensions=settings.embedding_dimensions, **options)


async def model_identity(settings: Settings, database: Database | None = None) -> tuple[str, int]:
    """(name, dimensions) of the configured embedding model, without loading the local one.

    With a migrated ``database`` that knows the model its endpoint is not asked, and may be away.
    """
    if settings.embedding_model is None:
        from app.rag.embeddings.local import LocalEmbedder  # noqa: PLC0415 - see `open_embedder`

        return LocalEmbedder.model, LocalEmbedder.dimensions
    embedder = await open_embedder(settings, database)
    await embedder.aclose()
    return embedder.model, embedder.dimensions


def open_completer(settings: Settings) -> Completer | None:
    """The chat model that the settings choose, or None: answers are then quoted."""
    if settings.chat_model is None:
        return None
    from app.rag.completions.remote import OpenAICompleter  # noqa: PLC0415 - see `open_embedder`

    return OpenAICompleter(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key,
        model=settings.chat_model,
        context_tokens=settings.chat_context_tokens,
        timeout=settings.openai_timeout,
    )
