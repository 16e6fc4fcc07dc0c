"""Events pushed to others as signed messages: at least once, and in order for each subject."""

from app.webhooks.dispatcher import WebhookDispatcher
from app.webhooks.service.deliveries import purge_deliveries

__all__ = ["WebhookDispatcher", "purge_deliveries"]
