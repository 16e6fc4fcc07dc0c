"""What libraries log while Postgres is away is one line each; their real errors keep their stacks."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import asyncpg
import pytest

from app.logs import JsonFormatter, OutageFilter


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the handler of logging.yaml would write, of the loggers below."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(OutageFilter())
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def log(logger: str, error: BaseException) -> None:
    try:
        raise error
    except type(error):
        logging.getLogger(logger).exception("Flush failed, requeuing %d items", 3)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.CannotConnectNowError("the database system is starting up\nsecond line"),
        asyncpg.InterfaceError("cannot call Connection.reset(): connection has been released"),
        TimeoutError(),
    ],
)
@pytest.mark.parametrize("logger", ["pgqueuer.core.logconfig", "asyncpg.pool", "sqlalchemy.pool.impl"])
def test_an_outage_is_one_line_with_its_reason(written, logger, error):
    log(logger, error)
    (line,) = written.getvalue().splitlines()
    assert f"Flush failed, requeuing 3 items: {type(error).__name__}" in line
    assert "Traceback" not in line
    assert "second line" not in line


@pytest.mark.parametrize(
    ("logger", "error"),
    [
        ("pgqueuer.core.logconfig", KeyError("a mistake")),
        ("pgqueuer.core.logconfig", asyncpg.UniqueViolationError("duplicate key")),
        ("app.jobs.worker", ConnectionRefusedError(111, "Connection refused")),
    ],
)
def test_a_mistake_and_a_line_of_ours_keep_the_stack(written, logger, error):
    log(logger, error)
    assert "Traceback" in written.getvalue()
