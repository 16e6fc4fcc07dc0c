"""Many operations in one request: each with its own result, all in one transaction.

A handler::

    @post("/bulk", operation_id="create_people", status_code=200, opt=documented(raises=[...]))
    async def create_people(self, data: JSONBody[Bulk[PersonCreate]], session: ...) -> BulkResult[Person]:
        async def create(item: PersonCreate) -> Person: ...
        return await run_bulk(session, data.items, create, status=201)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import TrideskError
from app.problems import Problem, contradiction, problem_members

T = TypeVar("T")
Item = TypeVar("Item")

ITEMS_MAX = 100


class Bulk(msgspec.Struct, Generic[T], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 100 items; one that does not fit its description refuses the whole request."""

    items: Annotated[list[T], msgspec.Meta(min_length=1, max_length=ITEMS_MAX)]


class BulkItem(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What came of one item: `result` where it was done, `problem` where it was not."""

    index: Annotated[int, msgspec.Meta(ge=0, description="Its place in the request, from 0.")]
    status: Annotated[int, msgspec.Meta(description="What the single operation would have answered.")]
    result: T | None = None
    problem: Problem | None = None


class BulkResult(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One entry an item, in the order of the request."""

    items: list[BulkItem[T]]
    succeeded: Annotated[int, msgspec.Meta(ge=0)]
    failed: Annotated[int, msgspec.Meta(ge=0)]


async def run_bulk(
    session: AsyncSession,
    items: Sequence[Item],
    operation: Callable[[Item], Awaitable[T]],
    *,
    status: int = 200,
) -> BulkResult[T]:
    """Do each item in a savepoint of its own, with the checks of the single operation.

    ``operation`` raises what the single operation raises: an error of the caller's (4xx) becomes the item's
    problem and undoes this item alone; any other ends the whole request, of which nothing is kept. It returns
    what is shown: rows that an undone item has touched are read anew.
    """
    results = [await _run(session, index, item, operation, status=status) for index, item in enumerate(items)]
    failed = sum(each.problem is not None for each in results)
    return BulkResult(items=results, succeeded=len(results) - failed, failed=failed)


async def _run(
    session: AsyncSession,
    index: int,
    item: Item,
    operation: Callable[[Item], Awaitable[T]],
    *,
    status: int,
) -> BulkItem[T]:
    try:
        async with session.begin_nested():
            return BulkItem(index=index, status=status, result=await operation(item))
    except IntegrityError as error:
        refused = contradiction(error)
    except TrideskError as error:
        if error.status_code >= 500:
            raise
        refused = error
    problem = msgspec.convert(problem_members(refused), Problem)
    return BulkItem(index=index, status=refused.status_code, problem=problem)
