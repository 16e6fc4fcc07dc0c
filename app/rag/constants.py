"""Names and numbers of the rag room that more than one of its files needs."""

from __future__ import annotations

from enum import StrEnum


class DocumentStatus(StrEnum):
    """Where a document's newest version stands on its way into the index."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class Rating(StrEnum):
    """A reader's verdict on an answer."""

    UP = "up"
    DOWN = "down"


PROBLEM, SOLUTION = "Problem", "Solution"  # lines above the two parts of a resolution note
INGEST_JOB = "rag.ingest"
UNANSWERED_JOB = "rag.unanswered"

# HNSW: measured at 100,000 passages, recall@10 .992 (RETRIEVAL notes in the README).
HNSW_M = 16
HNSW_EF_CONSTRUCTION = 128
HNSW_EF_SEARCH = 80
MAX_HNSW_DIMENSIONS = 4_000  # pgvector's limit for halfvec indexes
