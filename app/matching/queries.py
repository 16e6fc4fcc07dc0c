"""The room's SQL files as statements; each file's first line says what it is for."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import TextClause, text

from app.database import load_sql

SQL = Path(__file__).parent / "sql"
ALLOWED = "\n        and {id} in (select a.id from allowed a)"
ARMS = ("none", "narrow", "exact", "hnsw")


@cache
def query(name: str) -> TextClause:
    """The statement in ``sql/<name>.sql``."""
    return text(load_sql(SQL / f"{name}.sql"))


@cache
def measure_sql(*, allowed: bool) -> str:
    """The statement that looks before a search; ``allowed``: a CTE of that name has the ids to keep to."""
    return load_sql(SQL / "measure.sql").format(visible=_visible("m.id", allowed=allowed))


@cache
def match_sql(*, arm: str, narrow: bool, allowed: bool, model_id: int, dimensions: int) -> str:
    """The search: which arm compares vectors, and whether all visible things are looked at for words."""
    literals = {"model_id": int(model_id), "dimensions": int(dimensions)}
    visible = _visible("m.id", allowed=allowed)
    nearest = load_sql(SQL / f"nearest_{arm}.sql").format(
        visible=visible, visible_embedding=_visible("m.matchable_id", allowed=allowed), **literals
    )
    cosine = load_sql(SQL / "cosine.sql").format(**literals).partition("\n")[2] if arm != "none" else "null"
    pool = load_sql(SQL / f"pool_{'narrow' if narrow else 'wide'}.sql").format(visible=visible)
    return load_sql(SQL / "match.sql").format(
        visible=visible, nearest=nearest.strip(), cosine_of_finalist=cosine.strip(), pool=pool.strip()
    )


def _visible(column: str, *, allowed: bool) -> str:
    condition = load_sql(SQL / "visible.sql").strip()
    return condition.format(id=column, allowed=ALLOWED.format(id=column) if allowed else "")
