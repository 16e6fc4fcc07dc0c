"""Stripe's events: read into calls of the mirror."""

from app.billing.service.provider.stripe.reading import StripeEvent, read
from app.billing.service.provider.stripe.shapes import Call

__all__ = ["Call", "StripeEvent", "read"]
