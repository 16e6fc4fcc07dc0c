"""Of an error the queue keeps type and first line, and nothing that quotes a row."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgqueuer.domain.models import TracebackRecord
from pgqueuer.errors import RetryRequested
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.exceptions import ConflictError
from app.jobs.failures import MESSAGE_MAX, JobError, JobFailedError, as_text, explain, read

SECRET = "tdk_secret"


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("not yet"), "ValueError", "not yet"),
        (ValueError("first\nsecond"), "ValueError", "first"),
        (ValueError(), "ValueError", ""),
        (ValueError("a\0b"), "ValueError", "ab"),
        (ConflictError("It is there.", code="there"), "there", "It is there."),
        (ConflictError(), "conflict", "Conflict"),
        (ExceptionGroup("tasks", [KeyError("x")]), "KeyError", "'x'"),
        (TimeoutError(), "TimeoutError", ""),
    ],
)
def test_an_error_is_its_type_and_one_line(error, kind, message):
    assert explain(error) == JobError(type=kind, message=message)


async def test_a_drivers_error_quotes_neither_the_row_nor_the_parameters(database):
    duplicate = text("insert into job_schedule (name) select cast(:name as text) from generate_series(1, 2)")
    with pytest.raises(DBAPIError) as raised:
        async with database.session() as session:
            await session.execute(duplicate, {"name": SECRET})
    assert SECRET in str(raised.value)
    assert SECRET not in as_text(raised.value)
    assert explain(raised.value).type == "UniqueViolationError"
    assert "pk_job_schedule" in explain(raised.value).message


async def test_nor_does_one_of_the_driver_itself(database):
    connection = await asyncpg.connect(database.dsn())
    try:
        with pytest.raises(asyncpg.UniqueViolationError) as raised:
            await connection.execute(
                f"insert into job_schedule (name) select '{SECRET}' from generate_series(1, 2)"
            )
        assert SECRET in str(raised.value)
        assert SECRET not in as_text(raised.value)
    finally:
        await connection.close()


def stored(error: Exception, **context: object) -> object:
    return TracebackRecord.from_exception(error, job_id=1, additional_context=context).model_dump(mode="json")


@given(st.builds(ValueError, st.text()))
def test_what_was_stored_reads_as_what_happened(error):
    kept = explain(error)
    assert len(kept.message) <= MESSAGE_MAX
    assert "\0" not in kept.message
    assert read(stored(JobFailedError(as_text(error)))) == kept
    assert read(stored(RetryRequested(reason=as_text(error)), reason=as_text(error))) == kept


def test_what_the_queue_stored_by_itself_is_shown_too():
    assert read(stored(ConnectionResetError("gone"))) == JobError(type="ConnectionResetError", message="gone")
    assert read(None) is None
    assert read([1]) is None
    assert read({}) == JobError(type="", message="")


def test_a_cancelled_run_has_a_name():
    assert as_text(asyncio.CancelledError()) == "CancelledError: "
