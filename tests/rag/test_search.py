"""Search finds what is there, whatever the question looks like, and by the indexes that are meant for it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.database import Database, create_engine
from app.rag.queries import SQL
from app.rag.registry import register_model
from app.rag.retrieval import POSTINGS_BUDGET, SESSION_SETTINGS, Retriever, Scope, vector_literal
from app.rag.runtime import Rag
from tests.rag.library import Library, make_library


@pytest.fixture(scope="module")
async def shelf(database: Database, rag: Rag) -> Library:
    """A few documents that no test changes."""
    library = await make_library(database, rag, "search shelf")
    await library.add("# Refunds\n\nYou get your money back within fourteen days of the purchase.")
    await library.add("# Errors\n\nERR_CONN_42 means that the proxy at db.example.com/x refused foo_bar.")
    await library.add("# Ünïcode\n\nDas Café öffnet. 日本語のテキスト. شكرا جزيلا. Smile \U0001f600 please.")
    await library.add("# Quotes\n\nO'Brien said: use the back\\slash and a | b & !c <-> d:* in queries.")
    return library


async def texts(library: Library, query: str, **options: object) -> list[str]:
    return [hit.text for hit in await library.search(query, **options)]


async def by_words(library: Library, query: str) -> list[str]:
    return await texts(library, query, embedding=None)


async def test_a_question_whose_words_do_not_all_occur_finds_by_those_that_do(shelf):
    found = await by_words(
        shelf, "Hello, could you explain how many days customers have for getting money back?"
    )
    assert "fourteen days" in found[0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ERR_CONN_42", "proxy"),
        ("err conn 42", "proxy"),
        ("errconn42", "proxy"),
        ("foo_bar", "proxy"),
        ("bar", "proxy"),
        ("db.example.com", "proxy"),
        ("cafe", "Café"),
        ("CAFÉ", "Café"),
        ("unicode", "Café"),
        ("O'Brien", "O'Brien"),
        ("obrien said", "O'Brien"),
        ("back\\slash", "O'Brien"),
        ("شكرا", "Café"),
    ],
)
async def test_words_are_found_in_the_forms_people_type(shelf, query, expected):
    assert expected in (await by_words(shelf, query))[0]


@pytest.mark.parametrize(
    "query",
    [
        "the of and to is",
        "!!! ??? ...",
        "\U0001f600\U0001f600",
        "zzqx qqvw",
        "' ' '",
        "\\",
        "&|!():*<->",
        "\u202e\u200b",
    ],
)
async def test_a_query_without_a_known_word_finds_nothing_by_words_and_everything_near_by_meaning(
    shelf, query
):
    assert await by_words(shelf, query) == []
    hits = await shelf.search(query)
    assert len(hits) == 4
    assert all((hit.bm25, hit.share, hit.coverage, hit.rank_bm25) == (0, 0, 0, None) for hit in hits)


@pytest.mark.parametrize(
    "query",
    [
        "') or true --",
        "'; drop table chunk; --",
        "refund' | 'day",
        "a | b & !c <-> d:*",
        "\\'\\\\",
        "days:* & !money",
        "%s %(x)s :lexical {0} $1",
        "x",
        " ".join(f"word{n}" for n in range(60)),
        "refund " * 1500,
        "ö" * 3999,
        "a_b" * 1000,
        "a." * 1900,
        "money\u202eback\u2066",
    ],
)
async def test_operators_quotes_and_lengths_are_only_words(shelf, query):
    for embedding in (None, await shelf.embedder.embed_query(query)):
        hits = await shelf.search(query, embedding=embedding)
        assert len(hits) <= 4


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200))
async def test_no_text_breaks_a_search(shelf, query):
    for hit in await shelf.search(query):
        assert 0 <= hit.share <= 1
        assert 0 <= hit.coverage <= 1 + 1e-9
        assert np.isfinite([hit.score, hit.bm25, hit.cosine]).all()


async def test_operators_do_not_negate(shelf):
    assert "fourteen days" in (await by_words(shelf, "!fourteen & !days"))[0]


async def test_sixty_words_of_which_one_is_known_find_it(shelf):
    query = " ".join(f"unknownword{n}" for n in range(59)) + " fourteen"
    assert "fourteen" in (await by_words(shelf, query))[0]


async def test_limit_and_no_scope_at_all(shelf):
    assert len(await shelf.search("anything", limit=2)) == 2
    assert await shelf.search("refund", "nobody") == []
    assert await shelf.search("refund", documents=()) == []


BULK = 20_000
# Synthetic passages in one statement: words by a skewed draw, so that some are everywhere and most are rare.
BULK_CHUNKS = text(
    """
    insert into chunk (document_id, version, collection_id, ordinal, heading_path, header, text, span_start,
        span_end, hash, tokens, tsv, length, audience)
    select cast(:document as uuid), 1, cast(:collection as uuid), n, '{}', '', w.words, 0, 0, n::text, 20,
        to_tsvector('tridesk', w.words), 20, '{public}'
    from generate_series(1, :count) n
    cross join lateral (
        select string_agg('term' || floor(power(random(), 4) * 20000)::int, ' ') as words
        from generate_series(1, 20) where n > 0
    ) w
    """
)
BULK_VECTORS = text(
    """
    insert into chunk_embedding (chunk_id, model_id, collection_id, audience, embedding)
    select c.id, :model, c.collection_id, c.audience,
        (select array_agg(random() - 0.5) from generate_series(1, 32)
            where c.ordinal > 0)::vector(32)::halfvec(32)
    from chunk c where c.document_id = cast(:document as uuid)
    """
)
DIMENSIONS = 32


@pytest.fixture(scope="module")
async def bulk(database: Database, rag: Rag) -> AsyncIterator[tuple[Library, Retriever, UUID]]:
    """Some ten thousand chunks under a model of few dimensions."""
    library = await make_library(database, rag, "bulk")
    owner = create_engine(database.dsn("owner"))
    document = await library.put("bulk")
    async with owner.begin() as connection:
        # Rows first, index after: twenty times faster.
        made = "insert into embedding_model (name, dimensions) values ('test/bulk', :size) returning id"
        model = await connection.scalar(text(made), {"size": DIMENSIONS})
        await connection.execute(text("select setseed(0.5)"))
        values = {"document": document.id, "collection": library.collection_id}
        await connection.execute(BULK_CHUNKS, {**values, "count": BULK})
        await connection.execute(BULK_VECTORS, {"document": document.id, "model": model})
        await register_model(connection, name="test/bulk", dimensions=DIMENSIONS)
    async with owner.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("vacuum analyze chunk, chunk_embedding, lexeme_delta, document"))
    yield library, Retriever(model_id=model, dimensions=DIMENSIONS), document.id
    async with owner.begin() as connection:
        await connection.execute(text("delete from document where id = :id"), {"id": document.id})
    await owner.dispose()


def query_vector(seed: int = 0) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def parameters(library: Library, **changes: object) -> dict[str, object]:
    return {
        "lexical": "term1500 term9000",
        "embedding": vector_literal(query_vector()),
        "audiences": ["public"],
        "collections": None,
        "documents": None,
        "excluded": None,
        "as_of": datetime.now(UTC),
        "candidates": 50,
        "budget": POSTINGS_BUDGET,
        "max_terms": 16,
        "limit": 10,
        **changes,
    }


async def plan(library: Library, statement: str, values: dict[str, object]) -> str:
    async with library.database.session() as session:
        await session.execute(SESSION_SETTINGS, {"ef_search": "80"})
        rows = await session.scalars(text(f"explain (costs off) {statement}"), values)
        return "\n".join(rows)


async def test_words_are_found_by_the_gin_index_and_vectors_by_hnsw(bulk):
    library, retriever, _ = bulk
    shown = await plan(library, str(retriever._statements["hnsw"]), parameters(library))
    assert "Bitmap Index Scan on ix_chunk_tsv" in shown
    assert re.search(r"Index Scan using ix_chunk_embedding_model_\d+ on chunk_embedding", shown)
    assert "Seq Scan on chunk " not in shown
    exact = await plan(library, str(retriever._statements["exact"]), parameters(library))
    assert "ix_chunk_embedding_model" not in exact


async def test_settings_of_a_search_do_not_outlive_its_transaction(bulk):
    library, _retriever, _ = bulk
    names = ("hnsw.ef_search", "hnsw.iterative_scan", "plan_cache_mode", "jit")
    single = create_engine(library.database.dsn(), pool_size=1)
    async with single.connect() as connection:
        await connection.execute(text("select '[1]'::vector"))  # loads the library that defines hnsw.*
        await connection.commit()

        async def values() -> list[object]:
            found = [await connection.scalar(text(f"show {name}")) for name in names]
            await connection.commit()
            return found

        before = await values()
        async with connection.begin():
            await connection.execute(SESSION_SETTINGS, {"ef_search": "80"})
        assert await values() == before
    await single.dispose()


async def test_the_index_finds_nearly_what_the_exact_scan_finds(bulk):
    library, retriever, _ = bulk
    shared = 0
    for seed in range(5):
        found = []
        for chunks in (0.0, 1e9):  # how many the last search saw: decides between scanning and the index
            retriever._corpus_chunks = chunks
            async with library.database.session() as session:
                hits = await retriever.search(
                    session,
                    query="",
                    embedding=query_vector(seed),
                    scope=Scope(audiences=("public",)),
                    limit=10,
                )
            found.append({hit.chunk_id for hit in hits})
        shared += len(found[0] & found[1])
    assert shared >= 45


async def test_filters_that_leave_one_of_many_find_it(bulk, database):
    _library, retriever, document_id = bulk
    async with database.session() as session:
        one = await session.scalar(
            text("select id from chunk where document_id = :id and ordinal = 777"), {"id": document_id}
        )
        for table, column in (("chunk", "id"), ("chunk_embedding", "chunk_id")):
            await session.execute(
                text(f"update {table} set audience = '{{only-me}}' where {column} = :id"), {"id": one}
            )
    for chunks in (0.0, 1e9):
        retriever._corpus_chunks = chunks
        async with database.session() as session:
            hits = await retriever.search(
                session,
                query="term1",
                embedding=query_vector(),
                scope=Scope(audiences=("only-me",)),
                limit=10,
            )
        assert [hit.chunk_id for hit in hits] == [one], chunks


def statements() -> dict[str, str]:
    """Every .sql file, its placeholders filled as the application fills them."""
    visible = (SQL / "visible.sql").read_text().strip()
    filled = {}
    for path in sorted(SQL.glob("*.sql")):
        sql = path.read_text()
        if path.name == "visible.sql":
            sql = "select from chunk c where " + sql.format(alias="c", chunk="c.id")
        elif path.name == "cosine.sql":
            sql = sql.format(model_id=1, dimensions=384)
            sql = "select " + sql.partition("\n")[2] + " from chunk f"
        elif path.name.startswith("nearest_"):
            sql = sql.format(
                visible=visible.format(alias="e", chunk="e.chunk_id"), model_id=1, dimensions=384
            )
        elif path.name == "search.sql":
            nearest = (SQL / "nearest_none.sql").read_text()
            sql = sql.format(
                visible_chunk=visible.format(alias="c", chunk="c.id"),
                nearest=nearest,
                cosine_of_finalist="null",
            )
        filled[path.name] = sql
    return filled


@pytest.mark.parametrize("name", sorted(statements()))
async def test_every_sql_file_says_what_it_is_for_and_prepares_on_the_migrated_schema(database, name):
    if name != "visible.sql":  # a condition, not a statement
        assert (SQL / name).read_text().startswith("-- ")
    numbers: dict[str, str] = {}
    sql = re.sub(
        r"(?<![:\w]):([a-z_]+)",
        lambda m: numbers.setdefault(m[1], f"${len(numbers) + 1}"),
        statements()[name],
    )
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.prepare(sql)
