"""What tests of the rag room share."""

from __future__ import annotations

import pytest

from app.database import Database
from app.rag.runtime import Rag
from tests.rag.library import Library, make_library


@pytest.fixture
async def library(database: Database, rag: Rag, unique: str) -> Library:
    """A collection of the test's own."""
    return await make_library(database, rag, f"library-{unique}")
