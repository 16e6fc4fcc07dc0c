"""What is alike, as the API shows it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.constants import CLOSED
from app.features.schemas.likeness import FeatureRequestHit, FeatureSimilar
from app.features.service import showing
from app.features.service.likeness import Alike
from app.identity.principal import Principal


async def similars(
    session: AsyncSession, alike: Sequence[Alike], *, principal: Principal
) -> list[FeatureSimilar]:
    """Requests like a text."""
    voted = await showing.voted(session, {each.request.id for each in alike}, principal)
    return [
        FeatureSimilar(
            request=showing.brief(each.request),
            board_id=each.request.board_id,
            confidence=each.match.probability,
            likely=each.is_likely,
            terms=list(each.match.terms),
            voted=each.request.id in voted,
            votable=each.request.status not in CLOSED,
        )
        for each in alike
    ]


async def hits(
    session: AsyncSession, alike: Sequence[Alike], *, principal: Principal
) -> list[FeatureRequestHit]:
    """What a search found."""
    views = await showing.show_all(session, [each.request for each in alike], principal=principal)
    return [
        FeatureRequestHit(request=view, score=each.match.score, terms=list(each.match.terms))
        for each, view in zip(alike, views, strict=True)
    ]
