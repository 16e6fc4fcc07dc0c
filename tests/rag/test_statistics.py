"""BM25 statistics are exact at every commit, and searches score with them."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter

import pytest
from sqlalchemy import text

from app.database import Database, create_engine
from app.rag.ingest import fold_statistics
from tests.rag.library import Library, assert_statistics_exact, empty, recount

WORDS = ["apple", "pear", "plum", "fig", "lime", "kiwi", "melon", "grape"]
INSERT = text(
    "insert into chunk (document_id, version, collection_id, ordinal, heading_path, header, text, span_start,"
    " span_end, hash, tokens, tsv, length, audience)"
    " select cast(:document as uuid), 1, cast(:collection as uuid), n, '{}', '', w, 0, 0, '', 1,"
    " to_tsvector('tridesk', w), array_length(string_to_array(w, ' '), 1), '{public}'"
    " from unnest(cast(:texts as text[])) with ordinality as t (w, n)"
)


def words(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, 12)))


class Writer:
    """One connection's worth of random changes to one document's chunks."""

    def __init__(self, library: Library, document_id: object, seed: int) -> None:
        self._library = library
        self._document = document_id
        self._chance = random.Random(seed)

    async def transaction(self) -> None:
        """Some changes, then a commit or a rollback."""
        chance = self._chance
        try:
            async with self._library.database.session() as session:
                for _ in range(chance.randint(1, 4)):
                    await session.execute(*self._change())
                if chance.random() < 0.3:
                    raise LookupError
        except LookupError:
            pass

    def _change(self) -> tuple[object, dict[str, object]]:
        chance, document = self._chance, self._document
        kind = chance.choice(["insert", "insert", "rewrite", "move", "delete", "nothing"])
        if kind == "insert":
            texts = [words(chance) for _ in range(chance.randint(1, 5))]
            return INSERT, {"document": document, "collection": self._library.collection_id, "texts": texts}
        own = "select id from chunk where document_id = cast(:document as uuid)"
        some = f"id in ({own} order by random() limit 3)"
        if kind == "rewrite":
            statement = (
                "update chunk set tsv = to_tsvector('tridesk', :text),"
                f" length = array_length(string_to_array(:text, ' '), 1) where {some}"
            )
            return text(statement.replace(":text", "cast(:text as text)")), {
                "document": document,
                "text": words(chance),
            }
        statement = {
            "move": f"update chunk set audience = '{{staff}}', ordinal = ordinal + 1 where {some}",
            "delete": f"delete from chunk where {some}",
            "nothing": "delete from chunk where document_id = cast(:document as uuid) and false",
        }[kind]
        return text(statement), {"document": document}


async def fold(database: Database) -> None:
    async with database.session() as session:
        await fold_statistics(session)


@pytest.mark.parametrize("seed", range(3))
async def test_statistics_equal_a_recount_at_every_commit_whoever_writes_and_folds_meanwhile(
    library: Library, seed: int
):
    writers = [Writer(library, (await library.put("anything")).id, seed * 10 + number) for number in range(4)]
    over = asyncio.Event()

    async def write(writer: Writer) -> None:
        for _ in range(12):
            await writer.transaction()

    async def fold_again_and_again() -> None:
        while not over.is_set():
            await fold(library.database)

    async def look() -> None:
        while not over.is_set():
            await assert_statistics_exact(library.database)

    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(write(each)) for each in writers]
        for task in (fold_again_and_again, fold_again_and_again, look):
            group.create_task(task())
        await asyncio.wait(writing)
        over.set()
    await assert_statistics_exact(library.database)


async def test_a_rollback_leaves_no_trace(library: Library, database: Database):
    document = await library.put("anything")
    before = await recount(database)
    with pytest.raises(LookupError):  # noqa: PT012 - the block is the transaction
        async with database.session() as session:
            texts = ["zucchini quince", "zucchini"]
            values = {"document": document.id, "collection": library.collection_id, "texts": texts}
            await session.execute(INSERT, values)
            await session.execute(text("delete from chunk"))
            raise LookupError
    assert await recount(database) == before


async def test_a_fold_leaves_one_row_a_word_and_the_same_sums(library: Library, database: Database):
    await library.add("# A\n\napple pear")
    await library.add("# B\n\napple plum")
    before = await recount(database)
    await fold(database)
    assert await recount(database) == before
    async with database.session() as session:
        assert await session.scalar(text("select count(*) from lexeme_delta")) == 0
        assert await session.scalar(text("select count(*) from corpus_delta")) == 1


async def test_a_fold_that_comes_second_leaves_it(library: Library, database: Database):
    await library.add("# A\n\napple pear")
    async with database.session() as session:
        await fold_statistics(session)
        await asyncio.wait_for(fold(database), 5)  # does not wait for the first
    await assert_statistics_exact(database)


async def test_deleting_documents_takes_their_words_along(library: Library, database: Database):
    document = await library.add("# A\n\nzwieback zwieback")
    async with database.session() as session:
        await session.execute(text("delete from document where id = :id"), {"id": document.id})
    stored, *_ = await recount(database)
    assert "zwieback" not in stored
    await assert_statistics_exact(database)


async def test_truncating_empties_the_statistics(library: Library, database: Database):
    await library.add("# A\n\napple pear")
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.execute(text("truncate chunk cascade"))
    await owner.dispose()
    assert await recount(database) == ({}, {}, (0, 0), (0, 0))


async def test_moving_passages_writes_no_statistics(library: Library, database: Database):
    document = await library.add("# A\n\napple pear", source="a")
    count = text("select (select count(*) from lexeme_delta) + (select count(*) from corpus_delta)")
    async with database.session() as session:
        before = await session.scalar(count)
        await session.execute(
            text("update chunk set audience = '{staff}' where document_id = :id"), {"id": document.id}
        )
        assert await session.scalar(count) == before


def bm25(query: list[str], text: list[str], corpus: list[list[str]]) -> float:
    """Robertson and Zaragoza 2009 with Lucene's idf, k1 = 1.2, b = 0.75."""
    mean = sum(map(len, corpus)) / len(corpus)
    counts = Counter(text)
    score = 0.0
    for term in set(query):
        df = sum(term in each for each in corpus)
        if df:
            idf = math.log(1 + (len(corpus) - df + 0.5) / (df + 0.5))
            tf = counts[term]
            score += idf * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * len(text) / mean))
    return score


@pytest.mark.parametrize("seed", range(4))
async def test_every_hit_has_the_bm25_that_plain_python_computes(
    library: Library, database: Database, seed: int
):
    """Statistics are of all chunks, as stored; ranks follow the scores."""
    await empty_but(library, database)
    chance = random.Random(seed)
    document = await library.put("anything")
    async with database.session() as session:
        for part in range(3):  # stored in several statements, changed, and folded in between
            texts = [words(chance) for _ in range(chance.randint(5, 20))]
            values = {"document": document.id, "collection": library.collection_id, "texts": texts}
            await session.execute(INSERT, values)
            await session.execute(text("delete from chunk where ordinal = 3"))
            if part == 1:
                await fold_statistics(session)
    corpus = [each.text.split() for each in await library.chunks(document.id)]
    for _ in range(6):
        query = chance.sample(WORDS, k=chance.randint(1, 4))
        hits = await library.search(" ".join(query), embedding=None, limit=50)
        assert hits
        for hit in hits:
            assert hit.bm25 == pytest.approx(bm25(query, hit.text.split(), corpus))
        by_rank = sorted((hit for hit in hits if hit.rank_bm25), key=lambda hit: hit.rank_bm25 or 0)
        scores = [hit.bm25 for hit in by_rank]
        assert scores == sorted(scores, reverse=True)


async def empty_but(library: Library, database: Database) -> None:
    """No other documents: the statistics are of the whole corpus."""
    await empty(database)
    async with database.session() as session:
        await session.execute(
            text("insert into collection (id, name) values (:id, 'the only one')"),
            {"id": library.collection_id},
        )
