"""Judged duplicates: ``python -m tests.bench.bench_duplicates DIR…``

DIR has corpus.jsonl, queries.jsonl and qrels.tsv; a query's first line is its title, and its own id is left
out. Plain BM25 is ours over title and text as they are, every word once, no bound on what is read; bm25s is
run by the peers' environment where there is one. The flag's figures are for the first ten matches; held-out
queries are those that nothing was fitted on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import TextClause, text

from app.database import Database
from app.lexical import expand
from app.matching import DUPLICATE_FROM, Matcher
from app.rag.evaluation import metrics
from tests.bench.duplicates import Judged, Loaded, NoModel, load, scratch

SHOWN = 10
PEERS = Path(".venv-bench/bin/python")
PEER = """
import json, sys, bm25s
given = json.load(sys.stdin)
index = bm25s.BM25()
texts = bm25s.tokenize([t for _, t in given["corpus"]], stopwords="en", show_progress=False)
index.index(texts, show_progress=False)
names = [name for name, _ in given["corpus"]]
asked = bm25s.tokenize([t for _, t in given["queries"]], stopwords="en", show_progress=False)
found, _ = index.retrieve(asked, k=min(50, len(names)), show_progress=False)
print(json.dumps({q: [names[i] for i in row] for (q, _), row in zip(given["queries"], found.tolist())}))
"""
PLAIN = text("""
with documents as materialized (
    select name, v.tsv, (select sum(cardinality(u.positions)) from unnest(v.tsv) u)::float8 as length
    from unnest(CAST(:names AS text[]), CAST(:texts AS text[])) d (name, body)
    cross join lateral to_tsvector('tridesk', d.body) v (tsv)
),
postings as materialized (
    select d.name, d.length, u.lexeme, cardinality(u.positions)::float8 as tf
    from documents d, unnest(d.tsv) u
),
df as materialized (
    select lexeme, ln(1 + ((select count(*) from documents) - count(*) + 0.5) / (count(*) + 0.5)) as idf
    from postings group by lexeme
)
select q.name as asked, p.name, sum(df.idf * 2.2 * p.tf
    / (p.tf + 1.2 * (0.25 + 0.75 * p.length / (select avg(length) from documents)))) as bm25
from unnest(CAST(:asked AS text[]), CAST(:questions AS text[])) q (name, body)
cross join lateral unnest(to_tsvector('tridesk', q.body)) w
join postings p on p.lexeme = w.lexeme
join df on df.lexeme = w.lexeme
group by q.name, p.name
order by q.name, bm25 desc, p.name
""")

TRIGRAMS = text("""
select q.name as asked, d.name
from unnest(CAST(:asked AS text[]), CAST(:questions AS text[])) q (name, body)
cross join lateral (
    select c.name, similarity(c.body, q.body) as alike
    from unnest(CAST(:names AS text[]), CAST(:texts AS text[])) c (name, body)
    order by alike desc, c.name limit 50
) d
order by q.name, d.alike desc, d.name
""")
# What Postgres itself offers: every word has to occur, or any of them.
FULL_TEXT = """
with documents as materialized (
    select name, to_tsvector('english', body) as tsv
    from unnest(CAST(:names AS text[]), CAST(:texts AS text[])) d (name, body)
)
select q.name as asked, d.name
from unnest(CAST(:asked AS text[]), CAST(:questions AS text[])) q (name, body)
cross join lateral (select {query}) w (query)
cross join lateral (
    select c.name, ts_rank_cd(c.tsv, w.query) as rank from documents c
    where c.tsv @@ w.query order by rank desc, c.name limit 50
) d
order by q.name, d.rank desc, d.name
"""
ALL_WORDS = text(FULL_TEXT.format(query="websearch_to_tsquery('english', q.body)"))
ANY_WORD = text(
    FULL_TEXT.format(query="replace(plainto_tsquery('english', q.body)::text, '&', '|')::tsquery")
)

Ranking = Callable[[Judged], list[str]]
Groups = dict[str, set[str]]


async def others(database: Database, loaded: Loaded, statement: TextClause) -> dict[str, list[str]]:
    """Rankings by what Postgres has by itself, over the raw texts."""
    corpus, queries = loaded.judged.corpus, loaded.judged.queries
    given = {
        "names": [each.id for each in corpus],
        "texts": [f"{each.title}\n{each.text}" for each in corpus],
        "asked": [each.id for each in queries],
        "questions": [each.text for each in queries],
    }
    rankings: dict[str, list[str]] = {each.id: [] for each in queries}
    async with database.session() as session:
        for row in await session.execute(statement, given):
            rankings[row.asked].append(row.name)
    return rankings


async def plain_bm25(database: Database, loaded: Loaded) -> dict[str, list[str]]:
    """Rankings by BM25 alone, computed afresh from the raw texts."""
    corpus, queries = loaded.judged.corpus, loaded.judged.queries
    rankings: dict[str, list[str]] = {each.id: [] for each in queries}
    async with database.session() as session:
        rows = await session.execute(
            PLAIN,
            {
                "names": [each.id for each in corpus],
                "texts": [expand(f"{each.title}\n{each.text}") for each in corpus],
                "asked": [each.id for each in queries],
                "questions": [expand(each.text) for each in queries],
            },
        )
        for row in rows:
            rankings[row.asked].append(row.name)
    return rankings


def bm25s(loaded: Loaded) -> dict[str, list[str]] | None:
    """Rankings of the peer with its own defaults; None where it is not installed."""
    if not PEERS.exists():
        return None
    given = {
        "corpus": [(each.id, f"{each.title}\n{each.text}") for each in loaded.judged.corpus],
        "queries": [(each.id, each.text) for each in loaded.judged.queries],
    }
    ran = subprocess.run(
        [PEERS, "-c", PEER], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if ran.returncode:
        return None
    found: dict[str, list[str]] = json.loads(ran.stdout.splitlines()[-1])
    return found


def show(name: str, compared: Sequence[Judged], ranking: Ranking) -> None:
    """One line of figures with their bootstrap intervals."""
    grades = [dict.fromkeys(each.duplicates, 1.0) for each in compared]
    ranked = [[name for name in ranking(each) if name != each.id] for each in compared]
    ndcg = metrics.mean([metrics.ndcg(a, b) for a, b in zip(ranked, grades, strict=True)])
    recall = metrics.mean([metrics.recall(a, b, SHOWN) for a, b in zip(ranked, grades, strict=True)])
    print(
        f"  {name:26} nDCG@10 {ndcg.value:.3f} [{ndcg.low:.3f}, {ndcg.high:.3f}]"
        f"   recall@10 {recall.value:.3f} [{recall.low:.3f}, {recall.high:.3f}]"
    )


def show_flag(name: str, compared: Sequence[Judged], without: Sequence[Judged], groups: Groups) -> None:
    """How good the flag is; ``without``: the same queries with no duplicate to be found."""
    flags = [_flagged(each) for each in compared]
    pairs = list(zip(flags, compared, strict=True))
    right = [float(len(flag & each.duplicates)) for flag, each in pairs]
    siblings = [float(len(flag & groups[each.id])) for flag, each in pairs]
    counts = [float(len(flag)) for flag in flags]
    precision, with_linked = metrics.ratio(right, counts), metrics.ratio(siblings, counts)
    recall = metrics.ratio(right, [float(len(each.duplicates)) for each in compared])
    mistaken = sum(bool(_flagged(each)) for each in without)
    print(
        f"  likely duplicate, p ≥ {DUPLICATE_FROM}, {name} {len(compared)}: {sum(counts):.0f} flagged,"
        f" precision {precision.value:.2f} [{precision.low:.2f}, {precision.high:.2f}]"
        f" (with duplicates of duplicates {with_linked.value:.2f}),"
        f" recall {recall.value:.2f} [{recall.low:.2f}, {recall.high:.2f}];"
        f" without any in the corpus {mistaken} of {len(without)} are flagged"
    )


def _flagged(judged: Judged) -> set[str]:
    return {name for name, match in judged.matches[:SHOWN] if match.probability >= DUPLICATE_FROM}


def linked(compared: Sequence[Judged]) -> Groups:
    """Each query's duplicates, and theirs, and so on."""
    groups = {each.id: {each.id, *each.duplicates} for each in compared}
    while True:
        wider = {
            name: set().union(*(groups.get(each, {each}) for each in group)) for name, group in groups.items()
        }
        if wider == groups:
            return groups
        groups = wider


async def main(folders: Sequence[Path]) -> None:
    """Load each set, compare by every arm, print."""
    logging.getLogger("app").setLevel(logging.ERROR)  # "by words alone" is what one of the arms is about
    async with scratch() as (database, rag):
        for folder in folders:
            loaded = await load(database, rag, folder)
            full = await loaded.compare(database, Matcher(rag.embeds))
            words = await loaded.compare(database, Matcher(NoModel()))
            plain, peer = await plain_bm25(database, loaded), bm25s(loaded)
            for name, statement in (
                ("trigrams", TRIGRAMS),
                ("full text, all words", ALL_WORDS),
                ("full text, any word", ANY_WORD),
            ):
                arm = await others(database, loaded, statement)
                show(name, full, lambda each, found=arm: found[each.id])  # type: ignore[misc]  # bound now
            show("plain BM25", full, lambda each, found=plain: found[each.id])  # type: ignore[misc]  # bound now
            if peer is not None:
                show("bm25s", full, lambda each, found=peer: found[each.id])  # type: ignore[misc]  # bound now
            show("similar, words alone", words, _by_score)
            show("similar, vectors alone", full, _by_vector)
            show("similar", full, _by_score)
            without = await loaded.compare(database, Matcher(rag.embeds), without=True)
            groups = linked(full)
            show_flag("held-out queries:", full[1::2], without[1::2], groups)
            show_flag("all queries:", full, without, groups)


def _by_score(judged: Judged) -> list[str]:
    return [name for name, _ in judged.matches]


def _by_vector(judged: Judged) -> list[str]:
    dense = [(match.rank_dense, name) for name, match in judged.matches if match.rank_dense is not None]
    return [name for _, name in sorted(dense)]


if __name__ == "__main__":
    asyncio.run(main([Path(each) for each in sys.argv[1:]]))
