"""Figures of merit against values computed by hand, judged sets as they come, a whole run on a tiny set."""

from __future__ import annotations

import json
import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.exceptions import InvalidError
from app.rag.evaluation import dataset, evaluate_folder, metrics
from app.setup import bring_up_to_date

names = st.text("abcdefgh", min_size=1, max_size=2)
rankings = st.lists(names, max_size=12, unique=True)
judgements = st.dictionaries(names, st.integers(0, 3), min_size=1, max_size=8)


class TestRankings:
    def test_ndcg_by_hand(self):
        """Grades 3, 0, 2 at ranks 1, 2, 3; the ideal order is 3, 2, 1."""
        gain = 3 / math.log2(2) + 2 / math.log2(4)
        ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
        found = metrics.ndcg(["a", "x", "b"], {"a": 3, "b": 2, "c": 1})
        assert found == pytest.approx(gain / ideal)
        assert found == pytest.approx(4 / 4.76186, abs=1e-5)

    def test_ndcg_counts_the_first_k_of_both_orders(self):
        ranking = [f"x{rank}" for rank in range(10)] + ["a"]
        assert metrics.ndcg(ranking, {"a": 1}) == 0
        assert metrics.ndcg(ranking[1:], {"a": 1}) == pytest.approx(1 / math.log2(11))
        assert metrics.ndcg(["a"], {"a": 1, "b": 1}, k=1) == 1

    def test_recall_is_over_all_relevant_documents_and_grade_0_is_not_relevant(self):
        grades = {"a": 1, "b": 2, "c": 0, "d": 1}
        assert metrics.recall(["c", "a", "x", "b"], grades, 2) == pytest.approx(1 / 3)
        assert metrics.recall(["c", "a", "x", "b"], grades, 4) == pytest.approx(2 / 3)

    def test_reciprocal_rank_is_of_the_first_relevant_document(self):
        assert metrics.reciprocal_rank(["x", "c", "b", "a"], {"a": 1, "b": 1, "c": 0}) == pytest.approx(1 / 3)
        assert metrics.reciprocal_rank(["x"], {"a": 1}) == 0

    def test_nothing_relevant_or_nothing_found_is_0(self):
        for grades in ({}, {"a": 0}):
            assert metrics.ndcg(["a"], grades) == metrics.recall(["a"], grades, 5) == 0
        assert metrics.ndcg([], {"a": 1}) == metrics.recall([], {"a": 1}, 5) == 0

    @given(rankings, judgements)
    def test_every_figure_lies_between_0_and_1(self, ranking, grades):
        figures = (
            metrics.ndcg(ranking, grades),
            metrics.recall(ranking, grades, 5),
            metrics.reciprocal_rank(ranking, grades),
        )
        assert all(0 <= figure <= 1 + 1e-12 for figure in figures)

    @given(judgements)
    def test_the_ideal_order_has_ndcg_1(self, grades):
        ideal = sorted(grades, key=lambda each: -grades[each])
        assert metrics.ndcg(ideal, grades) == pytest.approx(1 if any(grades.values()) else 0)

    @given(rankings, judgements)
    def test_recall_grows_with_k_and_ndcg_with_a_better_first_document(self, ranking, grades):
        assert metrics.recall(ranking, grades, 5) <= metrics.recall(ranking, grades, 10)
        best = max(grades, key=lambda each: grades[each])
        rest = [each for each in ranking if each != best]
        assert metrics.ndcg([best, *rest], grades) >= metrics.ndcg([*rest, best], grades) - 1e-12


class TestIntervals:
    def test_mean_and_ratio_by_hand(self):
        assert metrics.mean([0.0, 1.0, 1.0, 0.0]).value == 0.5
        assert metrics.ratio([1, 0, 2], [2, 1, 2]).value == 0.6

    def test_f1_by_hand(self):
        """Two of three predictions are right, two of four positives found: 2·2 / (3 + 4)."""
        found = metrics.f1([True, True, True, False, False, False], [True, True, False, True, True, False])
        assert found.value == pytest.approx(4 / 7, abs=1e-4)

    def test_the_interval_of_a_coin_is_the_binomial_one(self):
        """Standard error of 200 tosses is 0.0354, so 95 % is about 0.5 ± 0.069."""
        found = metrics.mean([float(each % 2) for each in range(200)])
        assert found.low == pytest.approx(0.5 - 0.069, abs=0.01)
        assert found.high == pytest.approx(0.5 + 0.069, abs=0.01)

    def test_a_ratio_resamples_both_sums_together(self):
        """Numerator and denominator are proportional, so there is nothing uncertain about their ratio."""
        found = metrics.ratio([1, 2, 3, 4], [2, 4, 6, 8])
        assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)

    def test_nothing_to_divide_by_is_0(self):
        for found in (metrics.mean([]), metrics.ratio([], []), metrics.ratio([0.0], [0.0])):
            assert (found.value, found.low, found.high) == (0, 0, 0)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
    def test_the_value_lies_in_its_interval_and_the_interval_in_the_range(self, values):
        found = metrics.mean(values)
        assert min(values) - 1e-4 <= found.low <= found.high <= max(values) + 1e-4
        assert found == metrics.mean(values), "the same run gives the same interval"


@pytest.fixture
def judged(tmp_path):
    """Writes a set: ``judged(corpus=[…], queries=[…], qrels="…", answers=[…])``."""

    def write(*, corpus, queries, qrels, answers=None):
        for name, records in (("corpus", corpus), ("queries", queries), ("answers", answers)):
            if records is not None:
                lines = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in records)
                (tmp_path / f"{name}.jsonl").write_text(lines + "\n", encoding="utf-8")
        (tmp_path / "qrels.tsv").write_text(qrels, encoding="utf-8")
        return tmp_path

    return write


CORPUS = [{"id": "d1", "title": "T", "text": "one"}, {"id": "d2", "text": "two"}]
QUERIES = [{"id": "q1", "text": "first"}, {"id": "q2", "text": "second"}, {"id": "q3", "text": "unjudged"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n"


class TestJudgedSets:
    def test_queries_without_a_judgement_are_left_out(self, judged):
        loaded = dataset.load(judged(corpus=CORPUS, queries=QUERIES, qrels=QRELS))
        assert [each.id for each in loaded.queries] == ["q1", "q2"]
        assert loaded.grades == {"q1": {"d1": 2.0, "d2": 0.0}, "q2": {"d2": 1.0}}
        assert loaded.corpus[1].title == ""
        assert loaded.questions == []

    def test_a_header_is_optional_and_line_ends_may_be_windows(self, judged):
        qrels = QRELS.partition("\n")[2].replace("\n", "\r\n")
        assert len(dataset.load(judged(corpus=CORPUS, queries=QUERIES, qrels=qrels)).grades) == 2

    def test_gold_comes_from_the_question_or_else_from_the_judgements(self, judged):
        answers = [
            {"id": "q1", "question": "?", "answer": "x", "section_path": "a>b"},
            {"id": "q2", "question": "?", "corpus_id": "d1"},
            {"id": "a3", "question": "?", "is_impossible": False, "passage_ids": ["d1", "d2"]},
            {"id": "a4", "question": "?", "is_impossible": True, "corpus_id": "d1"},
        ]
        loaded = dataset.load(judged(corpus=CORPUS, queries=QUERIES, qrels=QRELS, answers=answers))
        assert [each.gold for each in loaded.questions[:3]] == [{"d1"}, {"d1"}, {"d1", "d2"}]
        assert [each.is_impossible for each in loaded.questions] == [False, False, False, True]

    def test_a_question_nobody_can_judge_is_left_out(self, judged):
        answers = [{"id": "q9", "question": "?"}, {"id": "q8", "question": "?", "is_impossible": True}]
        loaded = dataset.load(judged(corpus=CORPUS, queries=QUERIES, qrels=QRELS, answers=answers))
        assert [each.id for each in loaded.questions] == ["q8"]

    def test_a_limit_takes_evenly_from_the_whole_set(self, judged):
        queries = [{"id": f"q{n}", "text": "x"} for n in range(10)]
        qrels = "".join(f"q{n}\td1\t1\n" for n in range(10))
        loaded = dataset.load(judged(corpus=CORPUS, queries=queries, qrels=qrels), limit=3)
        assert [each.id for each in loaded.queries] == ["q0", "q3", "q6"]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"corpus": ["{"]}, "corpus.jsonl:1: "),
            ({"corpus": [CORPUS[0], {"id": 5, "text": "x"}]}, "corpus.jsonl:2: "),
            ({"queries": [{"id": "q1"}]}, "queries.jsonl:1: "),
            ({"qrels": "h\th\th\nq1 d1 1\n"}, "qrels.tsv:2: expected query-id, corpus-id, score"),
            ({"qrels": "q1\td1\t1\nq1\td2\tnan\n"}, "qrels.tsv:2: "),
            ({"qrels": ""}, "no query of queries.jsonl is judged"),
            ({"answers": [{"question": "?"}]}, "answers.jsonl:1: "),
        ],
    )
    def test_a_malformed_file_is_named_with_its_line(self, judged, change, said):
        with pytest.raises(InvalidError, match=re.escape(said)):
            dataset.load(judged(**{"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS} | change))

    def test_a_file_that_is_missing_or_no_text_is_named(self, judged):
        folder = judged(corpus=CORPUS, queries=QUERIES, qrels=QRELS)
        (folder / "queries.jsonl").write_bytes(b"\xff\xfe")
        with pytest.raises(InvalidError, match=r"queries\.jsonl"):
            dataset.load(folder)
        (folder / "queries.jsonl").unlink()
        with pytest.raises(InvalidError, match=r"queries\.jsonl"):
            dataset.load(folder)


# Small enough to know its figures: each query has one document that it is plainly about.
TINY = {
    "corpus.jsonl": (
        {"id": "kettle", "title": "Kettle", "text": "Descale the kettle with citric acid every 4 weeks."},
        {"id": "lamp", "title": "Lamp", "text": "The lamp takes a 40 watt bulb with a small screw cap."},
        {"id": "door", "title": "Door", "text": "Oil the hinges of the door when it squeaks."},
    ),
    "queries.jsonl": (
        {"id": "one", "text": "Which bulb does the lamp take?"},
        {"id": "kettle", "text": "Descale the kettle with citric acid every 4 weeks."},
    ),
    "answers.jsonl": (
        {"id": "one", "question": "Which bulb does the lamp take?"},
        {"id": "two", "question": "Who won the chess final in 1972?", "is_impossible": True},
    ),
}
TINY_QRELS = "one\tlamp\t1\nkettle\tdoor\t1\nkettle\tkettle\t1\n"


def write_tiny(folder):
    """The tiny set as files."""
    for name, records in TINY.items():
        (folder / name).write_text("".join(json.dumps(each) + "\n" for each in records))
    (folder / "qrels.tsv").write_text(TINY_QRELS)
    return folder


@pytest.fixture(scope="module")
async def run(settings, database, rag, tmp_path_factory):
    """(report as JSON, lines of progress) of the tiny set."""
    said: list[str] = []
    report = await evaluate_folder(
        settings,
        database,
        write_tiny(tmp_path_factory.mktemp("judged")),
        prepare=bring_up_to_date,
        progress=said.append,
    )
    return json.loads(msgspec.json.encode(report)), said


class TestARun:
    def test_the_report_has_exactly_the_documented_shape(self, run):
        report, _ = run
        assert set(report) == {"queries", "arms", "latency_ms", "answers"}
        assert set(report["arms"]) == {"bm25", "dense", "fused"}
        assert set(report["latency_ms"]) == {"p50", "p95"}
        assert set(report["answers"]) == {
            *("has_answer_f1", "refusal_precision", "refusal_recall"),
            *("citation_validity", "citation_precision", "unsupported_numbers"),
        }
        for arm in report["arms"].values():
            assert set(arm) == {"ndcg@10", "recall@5", "recall@10", "mrr"}
        for estimate in (*report["answers"].values(), *report["arms"]["fused"].values()):
            assert set(estimate) == {"value", "low", "high"}
            assert estimate["low"] <= estimate["value"] <= estimate["high"]

    def test_a_query_that_is_in_the_corpus_leaves_itself_out(self, run):
        """Its own document, judged relevant too, would come first: recall would be 1, not (1 + 1/2) / 2."""
        report, said = run
        assert report["queries"] == 2
        assert report["arms"]["fused"]["recall@10"]["value"] == pytest.approx(0.75)
        assert said[0].startswith("3 documents indexed")

    def test_answers_are_judged_by_what_is_answerable(self, run):
        answers = run[0]["answers"]
        assert answers["has_answer_f1"]["value"] == 1
        assert answers["refusal_recall"]["value"] == 1
        assert answers["citation_validity"]["value"] == 1
        assert answers["citation_precision"]["value"] == 1
        assert answers["unsupported_numbers"]["value"] == 0

    async def test_its_schema_is_dropped_and_nothing_else_is_touched(self, run, database):
        async with database.session() as session:
            found = await session.scalar(
                text("select count(*) from pg_namespace where nspname like 'eval\\_%'")
            )
            mine = await session.scalar(
                text("select count(*) from document where title in ('Kettle', 'Lamp', 'Door')")
            )
        assert (found, mine) == (0, 0)
