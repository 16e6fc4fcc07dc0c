"""No statement reads a whole table of things, at some ten thousand of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app import matching
from app.database import create_engine
from app.events import Subject
from app.matching.models import Matchable
from app.matching.registry import prepare_vectors
from tests.matching.conftest import NOW, BagOfWords, Shelf

THINGS = 20_000
BIG = {"matchable", "matchable_embedding", "matchable_lexeme"}
FILL = text("""
insert into matchable
    (id, subject_type, title, body, audience, tsv, length, text_hash, created_at, signatures)
select uuidv7(), :kind || case when n % 50 = 0 then '-issue' else '' end, 'thing', '',
    array['staff', 'account:' || n % 400],
    to_tsvector('simple', format('w%s w%s w%s', n % 5000, n % 97, n % 3)), 3,
    n::text, now(), case when n % 4 = 0 then array['E' || n % 1000] else '{}' end
from generate_series(1, :things) n
""")
VECTORS = text("""
insert into matchable_embedding (matchable_id, model_id, subject_type, audience, text_hash, embedding)
select id, :model, subject_type, audience, text_hash,
    (select array_agg(random() - 0.5) from generate_series(1, 8) where m.id is not null)::real[]::halfvec
from matchable m where starts_with(subject_type, :kind)
""")


@pytest.fixture(scope="module")
async def crowd(database: Any) -> AsyncIterator[Shelf]:
    """Ten thousands of things of two kinds, with the vectors of a model of eight numbers."""
    kind = "kind-crowd"
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        model = await connection.scalar(
            text("insert into embedding_model (name, dimensions) values ('crowd', 8) returning id")
        )
        await connection.execute(FILL, {"kind": kind, "things": THINGS})
        await connection.execute(VECTORS, {"kind": kind, "model": model})
        await prepare_vectors(connection, model="crowd")
    async with database.session() as session:
        await matching.fold_statistics(session, least=0)
    async with owner.connect() as connection:
        resting = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await resting.execute(text("vacuum analyze matchable, matchable_embedding, matchable_lexeme"))
    yield Shelf(database, BagOfWords(model, 8), kind)
    async with owner.begin() as connection:
        await connection.execute(
            text("delete from matchable where starts_with(subject_type, :k)"), {"k": kind}
        )
        await connection.execute(text("delete from matchable_embedding where model_id = :m"), {"m": model})
        await connection.execute(text(f"drop index ix_matchable_embedding_model_{int(model)}"))
        await connection.execute(text("delete from embedding_model where id = :m"), {"m": model})
    await owner.dispose()


@contextmanager
def noted(database: Any) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent meanwhile, with their parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "matchable" in statement:
            sent.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


async def plans(database: Any, sent: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    found = []
    async with database.session() as session:
        connection = await session.connection()
        for statement, parameters in sent:
            await session.execute(text("set local plan_cache_mode = force_custom_plan"))
            rows = await connection.exec_driver_sql(f"explain (format json) {statement}", parameters)
            plan = rows.scalar_one()
            found.extend(nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    return found


ASK = {
    "title": {"title": "w17 w5", "body": ""},
    "signature": {"title": "w17", "signatures": ["E40"]},
    "customer": {"title": "w17 w5", "audiences": ["account:17"]},
    "within": {
        "title": "w17 w5",
        "within": select(Matchable.id).where(Matchable.audience.overlap(["account:9"])),
    },
    "issues": {"title": "w17 w50", "types": ["kind-crowd-issue"]},
    "words": {"title": "w17 w5"},
}
INDEXES = {
    "title": {"ix_matchable_tsv", "hnsw"},
    "signature": {"ix_matchable_signatures"},
    "customer": {"ix_matchable_audience", "pk_matchable_embedding"},
    "within": {"ix_matchable_audience", "pk_matchable_embedding"},
    "issues": {"ix_matchable_embedding_subject_type_model_id"},
    "words": {"ix_matchable_tsv"},
}


@pytest.mark.parametrize("name", ASK)
async def test_comparing_reads_no_whole_table(crowd, name):
    crowd.embeds.failure = lambda _: TimeoutError() if name == "words" else None
    with noted(crowd.database) as sent:
        assert await crowd.similar(**ASK[name])
    found = await plans(crowd.database, sent)
    assert not [each for each in found if each["Node Type"] == "Seq Scan" and each["Relation Name"] in BIG]
    used = {each["Index Name"] for each in found if "Index Name" in each}
    used |= {"hnsw" for each in used if each == f"ix_matchable_embedding_model_{crowd.embeds.model_id}"}
    assert used >= INDEXES[name]


async def test_searching_a_list_reads_no_whole_table(crowd):
    crowd.embeds.failure = lambda _: None
    with noted(crowd.database) as sent:
        assert await crowd.search("w17 w5")
    found = await plans(crowd.database, sent)
    assert not [each for each in found if each["Node Type"] == "Seq Scan" and each["Relation Name"] in BIG]
    assert "pk_matchable_lexeme" in {each.get("Index Name") for each in found}


async def test_indexing_and_embedding_read_no_whole_table(crowd):
    with noted(crowd.database) as sent:
        subject = await crowd.add("w1 w2")
        async with crowd.database.session() as session:
            await matching.set_audience(session, subject, ["staff", "public"])
            await matching.index(session, subject, title="w3", body="", audience=["staff"], created_at=NOW)
            assert await matching.remove(session, Subject(crowd.kind, subject.id)) == 1
    sent = [each for each in sent if "_delta" not in each[0]]  # folding reads all that is appended
    found = await plans(crowd.database, sent)
    assert len(sent) > 8
    assert not [each for each in found if each["Node Type"] == "Seq Scan" and each["Relation Name"] in BIG]
