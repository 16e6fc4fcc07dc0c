"""Names and numbers of the matching room."""

from __future__ import annotations

EMBED_JOB = "matching.embed"
SWEEP_SECONDS = 30.0

# What is kept of a thing; longer texts are cut, since their beginning says what they are about.
TITLE_MAX = 500  # characters
BODY_MAX = 16_000
SIGNATURES_MAX = 20
SIGNATURE_MAX = 500  # characters
AUDIENCE_MAX = 50
QUERY_MAX = 400  # characters of a list's search
LIMIT_MAX = 200  # matches

STAFF = "staff"  # the audience token of those who see everything

TITLE_WEIGHT = 3  # a title's word counts as often
STORE_SLICE = 500  # rows a statement
BATCH = 64  # things embedded by one job
JOBS_AT_ONCE = 4  # chains of embedding jobs that one import starts
LEASE_SECONDS = 300.0  # a batch is another worker's after that
FOLD_AFTER = 50_000  # appended rows of statistics

CANDIDATES = 50  # finalists of each arm
SCORED_TERMS = 64  # strongest words of a text that score
POSTINGS_BUDGET = 1_000  # things that are read because of their words; see the README for the measured trade
NARROW = 3_000  # visible things; up to here all of them are looked at
EXACT_UNTIL = 12_000  # things; up to here all vectors are compared
HNSW_M = 16
HNSW_EF_CONSTRUCTION = 128
HNSW_EF_SEARCH = 80
QUERY_SECONDS = 3.0  # that a text's vector is waited for; then words must do
