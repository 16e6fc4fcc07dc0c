"""Notices: everybody's own."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.exceptions import NoticeNotFoundError, PersonRequiredError
from app.features.schemas.notices import (
    FeatureNoticeChange,
    FeatureNoticePreferences,
    FeatureNoticesMarked,
    FeatureNoticesRead,
    FeatureNoticeView,
)
from app.features.service.notices import reading
from app.identity.principal import Principal
from app.listing import Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

ReadFilter = Annotated[bool | None, QueryParameter(name="read", description="Read or not.")]

ALL_OF_THEM = FeatureNoticesRead()  # what no body says


class FeatureNoticeController(Controller):
    """Notices."""

    path = "/notices"
    tags = ["features"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        operation_id="list_feature_notices",
        opt=documented(listing=reading.NOTICES, raises=[PersonRequiredError]),
    )
    async def list_feature_notices(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        read: ReadFilter = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FeatureNoticeView]:
        """List the caller's notices, of what they may still see, the latest first."""
        found = await reading.NOTICES.fetch(
            session,
            reading.listed(principal=principal, read=read),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters={"read": read, "person_id": principal.person_id},
        )
        shown = await reading.show_all(session, found.rows)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @patch(
        "/{notice_id:uuid}",
        operation_id="update_feature_notice",
        opt=documented(raises=[NoticeNotFoundError, PersonRequiredError]),
    )
    async def update_feature_notice(
        self,
        *,
        notice_id: FromPath[UUID],
        data: JSONBody[FeatureNoticeChange],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> FeatureNoticeView:
        """Mark a notice read, or unread."""
        marked = await reading.mark(
            session, notice_id, principal=principal, read=data.read, expected=expected
        )
        return (await reading.show_all(session, [marked]))[0]

    @post(
        "/read",
        operation_id="read_feature_notices",
        status_code=200,
        opt=documented(raises=[PersonRequiredError]),
    )
    async def read_feature_notices(
        self,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        data: JSONBody[FeatureNoticesRead] = ALL_OF_THEM,
    ) -> FeatureNoticesMarked:
        """Mark all notices read, or those made before a time."""
        marked = await reading.mark_all(session, principal=principal, before=data.before)
        return FeatureNoticesMarked(marked=marked)

    @get(
        "/preferences",
        operation_id="get_feature_notice_preferences",
        opt=documented(raises=[PersonRequiredError]),
    )
    async def get_feature_notice_preferences(
        self, session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]
    ) -> FeatureNoticePreferences:
        """How the caller wants notices."""
        return await reading.preferences(session, principal=principal)

    @put(
        "/preferences",
        operation_id="set_feature_notice_preferences",
        opt=documented(raises=[PersonRequiredError]),
    )
    async def set_feature_notice_preferences(
        self,
        data: JSONBody[FeatureNoticePreferences],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeatureNoticePreferences:
        """Say how to get notices, from the next one on; by mail at once, every day or every week."""
        return await reading.prefer(session, data, principal=principal)
