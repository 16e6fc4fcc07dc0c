"""The room's SQL files as statements; each file's first line says what it is for."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import TextClause, text

from app.database import load_sql

SQL = Path(__file__).parent / "sql"


@cache
def query(name: str) -> TextClause:
    """The statement in ``sql/<name>.sql``."""
    return text(load_sql(SQL / f"{name}.sql"))
