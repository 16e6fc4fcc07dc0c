"""Answers that know the account: questions about one's own money, answered from SQL."""

from app.billing.service.answering.telling import BillingRecords

__all__ = ["BillingRecords"]
