"""Conversations: messages, participants, attachments.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0007"
down_revision = "0006"

# Times of messages are those of their statement, not of their transaction: within a conversation, whose row
# is locked by then, they grow with the numbers. 200,000 characters never exceed what a tsvector holds (1 MB).
TABLES = """
create table conversation (
    id uuid default uuidv7() not null constraint pk_conversation primary key,
    subject_type varchar not null,
    subject_id uuid not null,
    account_id uuid constraint fk_conversation_account_id_account references account,
    requester_id uuid constraint fk_conversation_requester_id_person references person on delete set null,
    version integer default 1 not null,
    last_number integer default 0 not null,
    last_message_at timestamptz,
    last_customer_message_at timestamptz,
    last_staff_reply_at timestamptz,
    first_reply_at timestamptz,
    unanswered_since timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint uq_conversation_subject_type_subject_id unique (subject_type, subject_id)
);
create index ix_conversation_account_id on conversation (account_id);
create index ix_conversation_requester_id on conversation (requester_id);

create table message (
    id uuid default uuidv7() not null constraint pk_message primary key,
    conversation_id uuid not null
        constraint fk_message_conversation_id_conversation references conversation on delete cascade,
    number integer not null,
    kind varchar not null,
    speaker varchar not null,
    channel varchar not null,
    automatic boolean default false not null,
    author_person_id uuid
        constraint fk_message_author_person_id_person references person on delete set null,
    author_key_id uuid,
    author_role varchar not null,
    author_email varchar,
    body_format varchar not null,
    body_raw text not null,
    body_html text not null,
    body_text text not null,
    in_reply_to uuid constraint fk_message_in_reply_to_message references message on delete set null,
    email_message_id varchar constraint uq_message_email_message_id unique,
    origin_conversation_id uuid,
    origin_number integer,
    version integer default 1 not null,
    edited_at timestamptz,
    redacted_at timestamptz,
    created_at timestamptz default clock_timestamp() not null,
    search tsvector generated always as (to_tsvector('simple', "left"(body_text, 200000))) stored,
    constraint uq_message_conversation_id_number unique (conversation_id, number),
    constraint ck_message_kind check (kind in ('public', 'note', 'system')),
    constraint ck_message_speaker check (speaker in ('customer', 'staff', 'machine'))
);
create index ix_message_conversation_id_created_at_id on message (conversation_id, created_at, id);
create index ix_message_author_person_id on message (author_person_id);
create index ix_message_in_reply_to on message (in_reply_to);
create index ix_message_search on message using gin (search);

create table participant (
    id uuid default uuidv7() not null constraint pk_participant primary key,
    conversation_id uuid not null
        constraint fk_participant_conversation_id_conversation references conversation on delete cascade,
    role varchar not null,
    person_id uuid constraint fk_participant_person_id_person references person on delete cascade,
    email varchar,
    added_by uuid,
    unsubscribed boolean default false not null,
    created_at timestamptz default clock_timestamp() not null,
    constraint uq_participant_conversation_id_role_person_id unique (conversation_id, role, person_id),
    constraint uq_participant_conversation_id_role_email unique (conversation_id, role, email),
    constraint ck_participant_one_address check (num_nonnulls(person_id, email) = 1),
    constraint ck_participant_role check (role in ('requester', 'assignee', 'watcher', 'cc'))
);
create index ix_participant_person_id on participant (person_id);
create index ix_participant_email on participant (email);

create table attachment (
    id uuid default uuidv7() not null constraint pk_attachment primary key,
    conversation_id uuid
        constraint fk_attachment_conversation_id_conversation references conversation on delete cascade,
    message_id uuid constraint fk_attachment_message_id_message references message on delete cascade,
    uploader_person_id uuid
        constraint fk_attachment_uploader_person_id_person references person on delete set null,
    uploader_key_id uuid,
    name varchar not null,
    media_type varchar not null,
    size integer not null,
    sha256 varchar not null,
    content bytea not null,
    content_id varchar,
    text text,
    text_status varchar default 'none' not null,
    created_at timestamptz default now() not null,
    search tsvector generated always as
        (to_tsvector('simple', "left"(name || ' ' || coalesce(text, ''), 200000))) stored,
    constraint ck_attachment_text_status check (text_status in ('queued', 'ready', 'none', 'failed')),
    constraint ck_attachment_sent check (message_id is null or conversation_id is not null)
);
alter table attachment alter column content set storage external;  -- most files are compressed already
create index ix_attachment_message_id on attachment (message_id);
create index ix_attachment_conversation_id on attachment (conversation_id);
create index ix_attachment_uploader_person_id on attachment (uploader_person_id);
create index ix_attachment_unsent on attachment (created_at) where message_id is null;
create index ix_attachment_search on attachment using gin (search);
"""


def upgrade() -> None:
    run_script(op, TABLES)


def downgrade() -> None:
    run_script(
        op, "drop table attachment; drop table participant; drop table message; drop table conversation;"
    )
