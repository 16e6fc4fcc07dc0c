"""Reading the log. No HTTP here, and nothing commits."""

from app.events.service.access import concerns, visible_to
from app.events.service.audit import read_audit
from app.events.service.callers import renew
from app.events.service.reading import latest, place_of, read_events

__all__ = ["concerns", "latest", "place_of", "read_audit", "read_events", "renew", "visible_to"]
