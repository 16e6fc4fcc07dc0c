"""The features desk's routes, below ``/v1/features``."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from app.features.controllers.boards import FeatureBoardController
from app.features.controllers.comments import FeatureCommentController, FeatureModerationController
from app.features.controllers.demand import FeatureDemandController, FeatureRoadmapController
from app.features.controllers.likeness import FeatureDuplicatesController, FeatureLikenessController
from app.features.controllers.links import FeatureLinkController, FeatureQuoteController
from app.features.controllers.notices import FeatureNoticeController
from app.features.controllers.public import FeaturePublicController
from app.features.controllers.releases import FeatureReleaseController
from app.features.controllers.requests import FeatureRequestController
from app.features.controllers.structure import FeatureStructureController
from app.features.controllers.transfer import FeatureTransferController
from app.features.controllers.votes import FeatureVoteController
from app.features.dependencies import provide_features

router = Router(
    path="/v1/features",
    route_handlers=[
        FeatureBoardController,
        FeatureCommentController,
        FeatureDemandController,
        FeatureDuplicatesController,
        FeatureLikenessController,
        FeatureLinkController,
        FeatureModerationController,
        FeatureNoticeController,
        FeaturePublicController,
        FeatureQuoteController,
        FeatureReleaseController,
        FeatureRequestController,
        FeatureRoadmapController,
        FeatureStructureController,
        FeatureTransferController,
        FeatureVoteController,
    ],
    dependencies={"features": Provide(provide_features)},
)
