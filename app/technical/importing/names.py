"""What others call our fields.

The names are those that Zendesk's and Zammad's documentation gives for their tickets' JSON, the titles of
Zendesk's CSV, and our own. Case, blanks and punctuation do not matter: ``Requester email`` is
``requester_email``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum


class Field(StrEnum):
    """What a column can become; also ``custom.<key>`` for a custom field."""

    external_id = "external_id"
    subject = "subject"
    description = "description"
    description_format = "description_format"
    status = "status"
    priority = "priority"
    severity = "severity"
    product = "product"
    component = "component"
    product_version = "product_version"
    environment = "environment"
    tags = "tags"
    requester = "requester"
    requester_id = "requester_id"
    requester_external_id = "requester_external_id"
    requester_email = "requester_email"
    requester_name = "requester_name"
    assignee = "assignee"
    assignee_id = "assignee_id"
    assignee_email = "assignee_email"
    account = "account"
    account_id = "account_id"
    account_external_id = "account_external_id"
    team = "team"
    created_at = "created_at"
    updated_at = "updated_at"
    solved_at = "solved_at"
    closed_at = "closed_at"
    custom = "custom"
    messages = "messages"


CUSTOM = "custom."

# Their name → ours. Where several columns become one field, the one named first here counts, unless empty.
KNOWN: Mapping[str, Field] = {
    "id": Field.external_id,
    "external_id": Field.external_id,
    "ticket_id": Field.external_id,
    "number": Field.external_id,
    "subject": Field.subject,
    "title": Field.subject,
    "raw_subject": Field.subject,
    "description": Field.description,
    "description_format": Field.description_format,
    "format": Field.description_format,
    "status": Field.status,
    "state": Field.status,
    "priority": Field.priority,
    "severity": Field.severity,
    "product": Field.product,
    "component": Field.component,
    "product_version": Field.product_version,
    "environment": Field.environment,
    "tags": Field.tags,
    "requester": Field.requester,
    "customer": Field.requester,
    "requester_id": Field.requester_id,
    "customer_id": Field.requester_id,
    "requester_external_id": Field.requester_external_id,
    "requester_email": Field.requester_email,
    "customer_email": Field.requester_email,
    "email": Field.requester_email,
    "requester_name": Field.requester_name,
    "customer_name": Field.requester_name,
    "assignee": Field.assignee,
    "owner": Field.assignee,
    "assignee_email": Field.assignee_email,
    "owner_email": Field.assignee_email,
    "assignee_id": Field.assignee_id,
    "owner_id": Field.assignee_id,
    "account": Field.account,
    "account_name": Field.account,
    "organization": Field.account,
    "organisation": Field.account,
    "account_id": Field.account_id,
    "organization_id": Field.account_id,
    "account_external_id": Field.account_external_id,
    "team": Field.team,
    "group": Field.team,
    "created_at": Field.created_at,
    "updated_at": Field.updated_at,
    "solved_at": Field.solved_at,
    "closed_at": Field.closed_at,
    "close_at": Field.closed_at,
    "custom": Field.custom,
    "custom_fields": Field.custom,
    "messages": Field.messages,
    "comments": Field.messages,
    "articles": Field.messages,
}

# Known, and told by other fields or kept by ourselves: nothing of a customer's is lost with them.
NEEDLESS = frozenset(
    {
        *("summation_column", "url", "requester_domain", "submitter", "submitter_id", "via", "ticket_type"),
        *("type", "assigned_at", "initially_assigned_at", "resolution_time", "group_stations", "fields"),
        *("assignee_stations", "reopens", "replies", "group_id", "team_id", "is_public", "has_incidents"),
        *(
            "custom_status_id",
            "ticket_form_id",
            "brand_id",
            "brand",
            "allow_channelback",
            "generated_timestamp",
        ),
        *(
            "allow_attachments",
            "from_messaging_channel",
            "sharing_agreement_ids",
            "metric_set",
            "article_count",
        ),
        *("article_ids", "priority_id", "state_id", "create_article_type_id", "create_article_sender_id"),
        *("created_by_id", "updated_by_id", "created_by", "updated_by", "last_contact_at", "preferences"),
        *("last_contact_agent_at", "last_contact_customer_at", "last_owner_update_at", "last_close_at"),
        *("first_response_at", "first_response_escalation_at", "first_response_in_min", "escalation_at"),
        *("first_response_diff_in_min", "close_escalation_at", "close_in_min", "close_diff_in_min"),
        *("update_escalation_at", "update_in_min", "update_diff_in_min", "create_article_type", "time_unit"),
        *("create_article_sender", "version", "source", "origin", "signatures", "status_changed_at"),
        *("first_solved_at", "waiting_since", "solved_by_id", "merged_into_id", "issue_id", "search"),
    }
)

_OTHER = re.compile(r"[^a-z0-9]+")


def plain(name: str) -> str:
    """``requester_email`` of ``Requester email``."""
    return _OTHER.sub("_", name.strip().lower()).strip("_")


def is_target(name: str) -> bool:
    """Whether a mapping may name this as our field."""
    return name in Field.__members__ or (name.startswith(CUSTOM) and len(name) > len(CUSTOM))


RANK = {name: rank for rank, name in enumerate(KNOWN)}
