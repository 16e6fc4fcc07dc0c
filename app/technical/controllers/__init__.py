"""Routes of the technical desk."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from app.technical.controllers.bulk import TicketBulkController
from app.technical.controllers.exporting import TicketExportController
from app.technical.controllers.fields import FieldController
from app.technical.controllers.issues import IssueController
from app.technical.controllers.links import TicketLinkController, TicketReferenceController
from app.technical.controllers.macros import MacroController
from app.technical.controllers.merging import TicketMergeController
from app.technical.controllers.messages import TicketMessageController
from app.technical.controllers.metrics import MetricsController
from app.technical.controllers.presence import TicketPresenceController
from app.technical.controllers.ratings import RatingController
from app.technical.controllers.resolutions import ResolutionController
from app.technical.controllers.suggestions import SuggestionController
from app.technical.controllers.teams import TeamController, TicketAssignmentController
from app.technical.controllers.tickets import TicketController
from app.technical.controllers.views import ViewController
from app.technical.controllers.watchers import TicketTimelineController, TicketWatcherController
from app.technical.dependencies import provide_desk

router = Router(
    path="/v1/technical",
    route_handlers=[
        TicketController,
        TicketMessageController,
        IssueController,
        RatingController,
        TicketPresenceController,
        ResolutionController,
        SuggestionController,
        TicketMergeController,
        TicketLinkController,
        TicketReferenceController,
        TicketWatcherController,
        TicketTimelineController,
        TeamController,
        TicketAssignmentController,
        FieldController,
        MacroController,
        ViewController,
        TicketBulkController,
        MetricsController,
        TicketExportController,
    ],
    dependencies={"desk": Provide(provide_desk)},
)

__all__ = ["router"]
