"""Webhooks: endpoints, what is delivered to them, and whose turn it is.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0006"
down_revision = "0005"

# A delivery is one event for one endpoint; its id is the message's. The queue has a row for each subject of
# an endpoint that has something undelivered, and names its oldest: only that one may be sent. A redelivery or
# a test has a row of its own, without a subject, and waits for nobody. due_at is also the lease: who takes a
# row moves it on, and a row whose worker died becomes due by itself.
TABLES = """
create table webhook_endpoint (
    id uuid default uuidv7() not null constraint pk_webhook_endpoint primary key,
    url text not null,
    description text default '' not null,
    events text[] not null,
    enabled boolean default true not null,
    disabled_reason text,
    failing_since timestamptz,
    version integer default 1 not null,
    secret text not null,
    previous_secret text,
    previous_secret_until timestamptz,
    cursor_transaction bigint not null,
    cursor_number bigint default 0 not null,
    created_by uuid,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_webhook_endpoint_disabled_reason
        check (disabled_reason in ('admin', 'gone', 'failing') and enabled = (disabled_reason is null))
);
create index ix_webhook_endpoint_created_at_id on webhook_endpoint (created_at, id);

create table webhook_delivery (
    id uuid default uuidv7() not null constraint pk_webhook_delivery primary key,
    endpoint_id uuid not null constraint fk_webhook_delivery_endpoint_id_webhook_endpoint
        references webhook_endpoint on delete cascade,
    event_id uuid not null constraint fk_webhook_delivery_event_id_event references event,
    transaction bigint not null,
    number bigint not null,
    type text not null,
    subject_type text not null,
    subject_id uuid not null,
    status text default 'pending' not null,
    attempts integer default 0 not null,
    failures integer default 0 not null,
    attempted_at timestamptz,
    duration_ms integer,
    response_status integer,
    response_body text,
    error text,
    delivered_at timestamptz,
    created_at timestamptz default now() not null,
    constraint uq_webhook_delivery_endpoint_id_event_id unique (endpoint_id, event_id),
    constraint ck_webhook_delivery_status check (status in ('pending', 'failing', 'delivered', 'failed'))
);
create index ix_webhook_delivery_endpoint_id_created_at_id on webhook_delivery (endpoint_id, created_at, id);
create index ix_webhook_delivery_undelivered
    on webhook_delivery (endpoint_id, subject_type, subject_id, transaction, number)
    where status in ('pending', 'failing');

create table webhook_queue (
    id uuid default uuidv7() not null constraint pk_webhook_queue primary key,
    endpoint_id uuid not null constraint fk_webhook_queue_endpoint_id_webhook_endpoint
        references webhook_endpoint on delete cascade,
    subject_type text,
    subject_id uuid,
    delivery_id uuid not null constraint fk_webhook_queue_delivery_id_webhook_delivery
        references webhook_delivery on delete cascade,
    due_at timestamptz default now() not null,
    lease uuid,
    constraint uq_webhook_queue_delivery_id unique (delivery_id),
    constraint uq_webhook_queue_endpoint_id_subject_type_subject_id
        unique (endpoint_id, subject_type, subject_id),
    constraint ck_webhook_queue_subject check ((subject_type is null) = (subject_id is null))
);
create index ix_webhook_queue_endpoint_id_due_at on webhook_queue (endpoint_id, due_at);
create index ix_webhook_queue_lease on webhook_queue (lease) where lease is not null;
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    run_script(op, "drop table webhook_queue; drop table webhook_delivery; drop table webhook_endpoint;")
