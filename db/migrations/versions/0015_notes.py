"""Rag: resolution notes, the solved cases among the documents.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0015"
down_revision = "0014"

UP = """
create table resolution_note (
    subject_type varchar not null,
    subject_id uuid not null,
    document_id uuid not null constraint uq_resolution_note_document_id unique
        constraint fk_resolution_note_document_id_document references document on delete cascade,
    problem varchar not null,
    solution varchar not null,
    component varchar,
    given_hash varchar not null,
    constraint pk_resolution_note primary key (subject_type, subject_id)
);
-- Which answers rest on a note that is withdrawn: found without reading all of them.
create index ix_answer_evidence on answer using gin (evidence jsonb_path_ops);
"""

DOWN = """
drop index ix_answer_evidence;
drop table resolution_note;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
