"""Releases as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import ReleaseStatus
from app.features.models import Release, ReleaseRequest, Request
from app.features.schemas.releases import FeatureReleaseBrief, FeatureReleaseView
from app.features.schemas.requests import RequestBrief
from app.features.service import showing
from app.features.service.access import requests_of
from app.features.utils.numbers import RELEASES
from app.identity.principal import Principal


async def show(session: AsyncSession, release: Release, *, principal: Principal) -> FeatureReleaseView:
    """One release."""
    return (await show_all(session, [release], principal=principal))[0]


async def show_all(
    session: AsyncSession, releases: Sequence[Release], *, principal: Principal
) -> list[FeatureReleaseView]:
    """Releases, each with those of its requests that the caller may see."""
    statement = (
        select(ReleaseRequest.release_id, Request)
        .join(Request, Request.id == ReleaseRequest.request_id)
        .where(ReleaseRequest.release_id.in_([each.id for each in releases]), requests_of(principal))
        .order_by(ReleaseRequest.position, Request.number)
    )
    shipped: dict[UUID, list[RequestBrief]] = {}
    for release_id, request in await session.execute(statement):
        shipped.setdefault(release_id, []).append(showing.brief(request))
    return [
        FeatureReleaseView(
            id=each.id,
            number=RELEASES.shown(each.number),
            board_id=each.board_id,
            title=each.title,
            body=each.body,
            body_html=each.body_html,
            label=each.label,
            status=ReleaseStatus(each.status),
            requests=shipped.get(each.id, []),
            shipped_at=each.shipped_at,
            version=each.version,
            created_at=each.created_at,
            updated_at=each.updated_at,
        )
        for each in releases
    ]


def brief(release: Release) -> FeatureReleaseBrief:
    """A release in a few words."""
    return FeatureReleaseBrief(
        id=release.id, number=RELEASES.shown(release.number), title=release.title, label=release.label
    )
