"""Judged sets on disk: corpus.jsonl, queries.jsonl, qrels.tsv and, for answers, answers.jsonl."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from app.exceptions import InvalidError

T = TypeVar("T")


class CorpusDocument(msgspec.Struct, frozen=True):
    """A document of the corpus."""

    id: str
    text: str
    title: str = ""


class Query(msgspec.Struct, frozen=True):
    """A judged query."""

    id: str
    text: str


class JudgedQuestion(msgspec.Struct, frozen=True):
    """A question with whether the corpus answers it, and where.

    Sets name the passages as ``corpus_id``, as ``passage_ids``, or only in qrels.tsv under the same id.
    """

    id: str
    question: str
    is_impossible: bool = False
    corpus_id: str | None = None
    passage_ids: list[str] | None = None

    @property
    def gold(self) -> frozenset[str]:
        """Ids of the documents that answer it."""
        return frozenset(self.passage_ids or ([self.corpus_id] if self.corpus_id else []))


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A whole set; ``grades`` maps query id to document id to grade."""

    corpus: list[CorpusDocument]
    queries: list[Query]
    grades: dict[str, dict[str, float]]
    questions: list[JudgedQuestion]


def load(folder: Path, *, limit: int | None = None) -> JudgedSet:
    """Read a set; ``limit`` keeps so many queries and questions, evenly spread.

    ``InvalidError`` names a bad line, or says that no query is judged.
    """
    grades: dict[str, dict[str, float]] = {}
    for number, line in enumerate(_lines(folder / "qrels.tsv"), start=1):
        query, document, grade = (*line.rstrip("\r").split("\t"), "", "")[:3]
        if number == 1 and not _is_number(grade):
            continue
        if not _is_number(grade):
            raise InvalidError(f"{folder / 'qrels.tsv'}:{number}: expected query-id, corpus-id, score")
        grades.setdefault(query, {})[document] = float(grade)
    queries = [each for each in _records(folder / "queries.jsonl", Query) if each.id in grades]
    if not queries:
        raise InvalidError(f"{folder}: no query of queries.jsonl is judged in qrels.tsv")
    questions = _questions(folder / "answers.jsonl", grades)
    return JudgedSet(
        corpus=_records(folder / "corpus.jsonl", CorpusDocument),
        queries=_spread(queries, limit),
        grades=grades,
        questions=_spread(questions, limit),
    )


def _questions(path: Path, grades: dict[str, dict[str, float]]) -> list[JudgedQuestion]:
    """Those whose verdict can be judged: where nobody says which passage answers, a citation is neither."""
    if not path.exists():
        return []
    questions = []
    for each in _records(path, JudgedQuestion):
        judged = sorted(document for document, grade in grades.get(each.id, {}).items() if grade > 0)
        if not each.gold and not each.is_impossible and judged:
            each = msgspec.structs.replace(each, passage_ids=judged)  # noqa: PLW2901 - the same, completed
        if each.gold or each.is_impossible:
            questions.append(each)
    return questions


def _records(path: Path, kind: type[T]) -> list[T]:
    decoder = msgspec.json.Decoder(kind)
    records = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            records.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise InvalidError(f"{path}:{number}: {error}") from error
    return records


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path}: {error}") from error
    return [line for line in text.split("\n") if line.strip()]


def _spread(items: Sequence[T], limit: int | None) -> list[T]:
    if limit is None or len(items) <= limit:
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
