"""Unanswered questions: for leads."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal, Role, require
from app.listing import Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.rag.exceptions import QuestionClusterNotFoundError, UnknownDocumentError
from app.rag.models import QuestionCluster
from app.rag.schemas import QuestionStatus, UnansweredClose, UnansweredView
from app.rag.service import unanswered

StatusFilter = Annotated[list[QuestionStatus] | None, several("status", "Open or closed.")]
NO_DOCUMENT = UnansweredClose()  # what no body says


class UnansweredController(Controller):
    """What people asked in vain."""

    path = "/unanswered"
    tags = ["rag"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.lead)]  # noqa: RUF012 - the framework reads the plain list

    @get("/", operation_id="list_unanswered", opt=documented(listing=unanswered.CLUSTERS))
    async def list_unanswered(
        self,
        *,
        session: NamedDependency[AsyncSession],
        status: StatusFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[UnansweredView]:
        """List questions that were not answered, or whose answers were disliked, by what they ask for.

        Those asked most often come first.
        """
        found = await unanswered.CLUSTERS.fetch(
            session,
            unanswered.listed(status),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"status": status},
        )
        shown = await unanswered.show_all(session, found.rows)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @post(
        "/{cluster_id:uuid}/close",
        operation_id="close_unanswered",
        status_code=200,
        opt=documented(raises=[QuestionClusterNotFoundError, UnknownDocumentError]),
    )
    async def close_unanswered(
        self,
        *,
        cluster_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
        data: JSONBody[UnansweredClose] = NO_DOCUMENT,
    ) -> UnansweredView:
        """Close them, with the document that answers them now; asked in vain again, they are open again."""
        closed = await unanswered.close(
            session, cluster_id, actor=principal, document_id=data.document_id, expected=expected
        )
        return await _show(session, closed)

    @post(
        "/{cluster_id:uuid}/reopen",
        operation_id="reopen_unanswered",
        status_code=200,
        opt=documented(raises=[QuestionClusterNotFoundError]),
    )
    async def reopen_unanswered(
        self,
        cluster_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> UnansweredView:
        """Open them again."""
        return await _show(
            session, await unanswered.reopen(session, cluster_id, actor=principal, expected=expected)
        )


async def _show(session: AsyncSession, cluster: QuestionCluster) -> UnansweredView:
    return (await unanswered.show_all(session, [cluster]))[0]
