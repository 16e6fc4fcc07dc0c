"""Payment providers behind one small interface: Stripe over HTTP, and a sandbox with faults on demand."""

from __future__ import annotations

from app.billing.constants import Provider
from app.billing.providers.base import PaymentProvider
from app.billing.providers.sandbox import SandboxProvider
from app.billing.providers.stripe import StripeProvider
from app.config import Settings
from app.database import Database


def provider_of(settings: Settings, database: Database) -> PaymentProvider | None:
    """The configured provider: Stripe when there is a key for it, else the sandbox; None for ``none``."""
    name = settings.billing_provider or (Provider.stripe if settings.stripe_api_key else Provider.sandbox)
    if name == Provider.sandbox:
        return SandboxProvider(database)
    if name == Provider.stripe and settings.stripe_api_key:
        return StripeProvider(
            api_key=settings.stripe_api_key,
            api_url=settings.stripe_api_url,
            timeout=settings.provider_timeout,
        )
    return None
