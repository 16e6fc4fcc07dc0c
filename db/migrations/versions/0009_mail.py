"""Mail: what came in, what goes out, who wants none.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0009"
down_revision = "0008"

# Addresses, subject lines and messages are nullable: the erasure of a person empties them, the rows stay.
TABLES = """
create table inbound_mail (
    id uuid default uuidv7() not null constraint pk_inbound_mail primary key,
    fingerprint bytea not null,
    message_id varchar not null,
    sender varchar,
    title varchar,
    raw bytea,
    size integer not null,
    status varchar default 'received' not null,
    verdict varchar,
    reason varchar,
    error varchar,
    attempts integer default 0 not null,
    person_id uuid constraint fk_inbound_mail_person_id_person references person (id) on delete set null,
    desk varchar,
    subject_type varchar,
    subject_id uuid,
    created_at timestamptz default now() not null,
    processed_at timestamptz,
    constraint uq_inbound_mail_fingerprint unique (fingerprint),
    constraint ck_inbound_mail_status check (status in ('received', 'processed', 'failed')),
    constraint ck_inbound_mail_verdict check (
        verdict in ('accepted', 'ignored_auto', 'bounce', 'loop', 'no_desk', 'rejected_unreadable')
    ),
    constraint ck_inbound_mail_subject check ((subject_type is null) = (subject_id is null))
);
alter table inbound_mail alter column raw set storage external;
create index ix_inbound_mail_created_at_id on inbound_mail (created_at, id);
create index ix_inbound_mail_message_id on inbound_mail (message_id);
create index ix_inbound_mail_sender_created_at on inbound_mail (sender, created_at);
create index ix_inbound_mail_person_id on inbound_mail (person_id);
create index ix_inbound_mail_subject_type_subject_id on inbound_mail (subject_type, subject_id);

create table outgoing_mail (
    id uuid default uuidv7() not null constraint pk_outgoing_mail primary key,
    message_id varchar not null,
    template varchar not null,
    recipient varchar,
    title varchar,
    raw bytea,
    automatic boolean default true not null,
    scope varchar,
    status varchar default 'queued' not null,
    error varchar,
    attempts integer default 0 not null,
    next_attempt_at timestamptz,
    person_id uuid constraint fk_outgoing_mail_person_id_person references person (id) on delete set null,
    subject_type varchar,
    subject_id uuid,
    created_at timestamptz default now() not null,
    sent_at timestamptz,
    constraint uq_outgoing_mail_message_id unique (message_id),
    constraint ck_outgoing_mail_status check (
        status in ('queued', 'sent', 'failed', 'suppressed', 'bounced', 'erased')
    ),
    constraint ck_outgoing_mail_subject check ((subject_type is null) = (subject_id is null))
);
create index ix_outgoing_mail_created_at_id on outgoing_mail (created_at, id);
create index ix_outgoing_mail_next_attempt_at on outgoing_mail (next_attempt_at) where status = 'queued';
create index ix_outgoing_mail_recipient on outgoing_mail (recipient);
create index ix_outgoing_mail_person_id on outgoing_mail (person_id);
create index ix_outgoing_mail_subject_type_subject_id on outgoing_mail (subject_type, subject_id);

create table mail_suppression (
    id uuid default uuidv7() not null constraint pk_mail_suppression primary key,
    address varchar not null,
    scope varchar not null,
    reason varchar not null,
    source varchar not null,
    created_at timestamptz default now() not null,
    constraint uq_mail_suppression_address_scope unique (address, scope),
    constraint ck_mail_suppression_reason check (
        reason in ('hard_bounce', 'complaint', 'unsubscribed', 'manual')
    )
);
create index ix_mail_suppression_created_at_id on mail_suppression (created_at, id);
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    run_script(op, "drop table mail_suppression; drop table outgoing_mail; drop table inbound_mail;")
