"""Matching: the desks' own things by likeness: similar ones, likely duplicates, what a list's search means.

A desk indexes in the transaction of its change, and asks::

    await matching.index(session, Subject("ticket", id), title=…, body=…, audience=["staff"], created_at=…)
    await matching.index_many(session, entries)  # imports
    await matching.remove(session, Subject("ticket", id))
    found = await matcher.similar(session, subject=…, types=["ticket"], audiences=["staff"])
    likely = [each for each in found if each.probability >= matching.DUPLICATE_FROM]
    listed = await matcher.search(session, q, types=["ticket"], audiences=["staff"], within=select(…))

Who sees what is the desk's decision: the tokens of the thing and of the reader both come from it.
"""

from app.matching.constants import EMBED_JOB, SWEEP_SECONDS
from app.matching.likelihood import DUPLICATE_FROM
from app.matching.schemas import Entry, Match
from app.matching.service.embedding import Vectors
from app.matching.service.indexing import (
    fold_statistics,
    forget_words,
    index,
    index_many,
    remove,
    set_audience,
)
from app.matching.service.matcher import Matcher
from app.matching.words_only import WordsOnly

__all__ = [
    "DUPLICATE_FROM",
    "EMBED_JOB",
    "SWEEP_SECONDS",
    "Entry",
    "Match",
    "Matcher",
    "Vectors",
    "WordsOnly",
    "fold_statistics",
    "forget_words",
    "index",
    "index_many",
    "remove",
    "set_audience",
]
