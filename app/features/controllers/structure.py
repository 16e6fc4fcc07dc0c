"""Merging, undoing it, splitting: for the staff."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.exceptions import (
    BoardArchivedError,
    DifferentBoardError,
    GroupTooLargeError,
    InvalidMergeError,
    NotMergedError,
    RequestMergedError,
    RequestNotFoundError,
    UnknownCommentError,
    UnknownPersonError,
)
from app.features.schemas.requests import FeatureRequestView
from app.features.schemas.voices import FeatureMerge, FeatureSplit
from app.features.service import merging, showing, splitting
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.preconditions import Expected


class FeatureStructureController(Controller):
    """Which requests are one."""

    path = "/requests/{request_id:uuid}"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/merge",
        operation_id="merge_feature_request",
        status_code=200,
        opt=documented(
            raises=[
                *(RequestNotFoundError, RequestMergedError, InvalidMergeError, DifferentBoardError),
                *(GroupTooLargeError, BoardArchivedError),
            ]
        ),
    )
    async def merge_feature_request(
        self,
        *,
        request_id: FromPath[UUID],
        data: JSONBody[FeatureMerge],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureRequestView:
        """Merge a request into another one of its board, where its voters count from now on; the target."""
        target = await merging.merge(session, request_id, data.into, actor=principal, expected=expected)
        return await showing.show(session, target, principal=principal)

    @post(
        "/unmerge",
        operation_id="unmerge_feature_request",
        status_code=200,
        opt=documented(raises=[RequestNotFoundError, NotMergedError, BoardArchivedError]),
    )
    async def unmerge_feature_request(
        self,
        request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureRequestView:
        """Undo the merge of a request, which has exactly its own voters again; it."""
        source = await merging.unmerge(session, request_id, actor=principal)
        return await showing.show(session, source, principal=principal)

    @post(
        "/split",
        operation_id="split_feature_request",
        opt=documented(
            raises=[RequestNotFoundError, BoardArchivedError, UnknownCommentError, UnknownPersonError]
        ),
    )
    async def split_feature_request(
        self,
        request_id: FromPath[UUID],
        data: JSONBody[FeatureSplit],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureRequestView:
        """Make a part of a request one of its own, with its comments and its voters; the new one."""
        made = await splitting.split(session, request_id, actor=principal, **structs.asdict(data))
        return await showing.show(session, made, principal=principal)
