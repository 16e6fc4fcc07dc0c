"""BM25 statistics are exact at every commit, and what is found is scored with them."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter

import pytest
from sqlalchemy import text

from app import matching
from app.events import Subject
from tests.matching.conftest import NOW, Shelf

WORDS = ["apple", "pear", "plum", "fig", "lime", "kiwi", "melon", "grape"]
STORED = """
select lexeme, sum(df)::bigint as df from (
    select lexeme, df from matchable_lexeme where subject_type = :kind
    union all select lexeme, df from matchable_lexeme_delta where subject_type = :kind) s
group by lexeme having sum(df) <> 0
"""
COUNTED = """
select u.lexeme, count(*) as df from matchable m, unnest(m.tsv) u where m.subject_type = :kind group by 1
"""
CORPUS = (
    "select coalesce(sum(things), 0)::bigint, coalesce(sum(length), 0)::bigint from matchable_corpus_delta"
)
COUNTED_CORPUS = "select count(*), coalesce(sum(length), 0)::bigint from matchable"


async def assert_exact(shelf: Shelf) -> None:
    """Stored and counted from scratch, in one snapshot."""
    kind = {"kind": shelf.kind}
    async with shelf.database.session() as session:
        await session.execute(text("set transaction isolation level repeatable read"))
        stored, counted = [
            {row.lexeme: row.df for row in await session.execute(text(sql), kind)}
            for sql in (STORED, COUNTED)
        ]
        assert stored == counted
        sums = [
            tuple((await session.execute(text(f"{sql} where subject_type = :kind"), kind)).one())
            for sql in (CORPUS, COUNTED_CORPUS)
        ]
        assert sums[0] == sums[1]


class Writer:
    """One desk's worth of random changes."""

    def __init__(self, shelf: Shelf, seed: int) -> None:
        self._shelf = shelf
        self._chance = random.Random(seed)
        self._mine: list[Subject] = []

    async def transaction(self) -> None:
        """Some changes, then a commit or a rollback."""
        mine = list(self._mine)
        try:
            async with self._shelf.database.session() as session:
                for _ in range(self._chance.randint(1, 3)):
                    await self._change(session, mine)
                if self._chance.random() < 0.3:
                    raise LookupError
        except LookupError:
            return
        self._mine = mine

    async def _change(self, session, mine: list[Subject]) -> None:
        words = " ".join(self._chance.choices(WORDS, k=self._chance.randint(1, 12)))
        kind = self._chance.choice(["add", "add", "rewrite", "audience", "remove"])
        if kind == "add" or not mine:
            entries = [self._shelf.entry(words, words[::-1]) for _ in range(self._chance.randint(1, 4))]
            await matching.index_many(session, entries)
            mine.extend(each.subject for each in entries)
            return
        subject = self._chance.choice(mine)
        if kind == "rewrite":
            await matching.index(session, subject, title=words, body="", audience=["staff"], created_at=NOW)
        elif kind == "audience":
            await matching.set_audience(session, subject, ["staff", words[:5]])
        else:
            await matching.remove(session, subject)
            mine.remove(subject)


async def folding(shelf: Shelf, done: asyncio.Event) -> int:
    folds = 0
    while not done.is_set():
        async with shelf.database.session() as session:
            folds += await matching.fold_statistics(session, least=0)
        await asyncio.sleep(0)
    return folds


async def parallel_writers(shelf: Shelf, *, writers: int, rounds: int) -> None:
    done = asyncio.Event()
    folder = asyncio.create_task(folding(shelf, done))

    async def write(seed: int) -> None:
        writer = Writer(shelf, seed)
        for _ in range(rounds):
            await writer.transaction()

    await asyncio.gather(*(write(seed) for seed in range(writers)))
    done.set()
    assert await folder > 0
    await assert_exact(shelf)
    await shelf.clear()
    await assert_exact(shelf)


async def test_parallel_writers_and_folding_leave_the_statistics_exact(shelf):
    await parallel_writers(shelf, writers=4, rounds=12)


@pytest.mark.proof
async def test_many_parallel_writers_leave_the_statistics_exact(shelf):
    await parallel_writers(shelf, writers=16, rounds=200)


async def test_bm25_is_the_formula_over_the_kinds_own_statistics(shelf):
    bodies = ["apple pear", "apple apple apple plum fig", "pear plum", "kiwi"]
    subjects = await shelf.add_all([shelf.entry("", each) for each in bodies])
    await shelf.add_all([shelf.entry("", "apple", kind=f"{shelf.kind}-other") for _ in range(5)])
    found = {each.id: each.bm25 for each in await shelf.similar("", "apple plum plum")}
    counts = [Counter(each.split()) for each in bodies]
    mean = sum(sum(each.values()) for each in counts) / len(counts)
    weights = {"apple": 1.0, "plum": 2.2 * 2 / (2 + 1.2)}
    for subject, count in zip(subjects, counts, strict=True):
        expected = 0.0
        for word, weight in weights.items():
            df = sum(word in each for each in counts)
            idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
            tf = count[word]
            expected += weight * idf * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * sum(count.values()) / mean))
        assert found[subject.id] == pytest.approx(expected)


async def test_a_word_of_the_title_counts_thrice(shelf):
    subject = await shelf.add("apple", "pear")
    async with shelf.database.session() as session:
        tsv = await session.scalar(text("select tsv::text from matchable where id = :id"), {"id": subject.id})
    assert tsv == "'appl':1,2,3 'pear':4"
    async with shelf.database.session() as session:
        assert (
            await session.scalar(text("select length from matchable where id = :id"), {"id": subject.id}) == 4
        )


async def test_a_thing_changes_neither_its_id_nor_its_kind(shelf):
    subject = await shelf.add("apple")
    for change in ("subject_type = 'other'", "id = gen_random_uuid()"):
        with pytest.raises(Exception, match="keeps its id"):
            async with shelf.database.session() as session:
                await session.execute(
                    text(f"update matchable set {change} where id = :id"), {"id": subject.id}
                )
