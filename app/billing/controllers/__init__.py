"""The billing desk's routes, below ``/v1/billing``."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from app.billing.controllers.cases import BillingCaseController
from app.billing.controllers.credit_notes import CreditNoteController
from app.billing.controllers.credits import CreditGrantController, SuggestedCreditController
from app.billing.controllers.evidence import EvidenceController
from app.billing.controllers.ledger import BillingAccountController, LedgerController
from app.billing.controllers.messages import BillingMessageController
from app.billing.controllers.mirror.disputes import DisputeController
from app.billing.controllers.mirror.imports import MirrorImportController
from app.billing.controllers.mirror.invoices import InvoiceController
from app.billing.controllers.mirror.payments import CaseDuplicateController, PaymentController
from app.billing.controllers.mirror.refunds import RefundController
from app.billing.controllers.mirror.subscriptions import SubscriptionController
from app.billing.controllers.provider import SandboxController, receive_stripe_event
from app.billing.controllers.refund_acts import RefundActController
from app.billing.controllers.refund_policies import RefundPolicyController
from app.billing.controllers.refund_requests import RefundRequestController
from app.billing.controllers.reports import BillingReportController
from app.billing.dependencies import provide_billing

router = Router(
    path="/v1/billing",
    route_handlers=[
        BillingAccountController,
        BillingCaseController,
        BillingMessageController,
        BillingReportController,
        EvidenceController,
        SandboxController,
        receive_stripe_event,
        CaseDuplicateController,
        DisputeController,
        InvoiceController,
        MirrorImportController,
        PaymentController,
        RefundController,
        SubscriptionController,
        CreditGrantController,
        CreditNoteController,
        LedgerController,
        RefundActController,
        RefundPolicyController,
        RefundRequestController,
        SuggestedCreditController,
    ],
    dependencies={"billing": Provide(provide_billing)},
)
