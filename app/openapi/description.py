"""The document's own text: what holds for every operation."""

from __future__ import annotations

DESCRIPTION = """\
The backend of a support team: answers from the company's own documents, each sentence with its source.

**Authentication.** `Authorization: Bearer …` with an API key or a token of the host app. What a caller may
not read does not exist for them: it is left out of lists, searches and answers, and is 404 by its id.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code` and the `request_id` that is in
the log.

**Lists** come in pages of `limit` items: pass `next_cursor` back as `cursor`, with the same filters and the
same `sort`, until it is null. Nothing is left out or shown twice while things come and go.
`sort=created_at` puts the least first, `sort=-created_at` the greatest; what has no value comes last either
way. A filter that may be repeated (`status=open&status=pending`) means any of its values, different filters
all of them. `created_after` is inclusive and `created_before` is not. `q` searches, whatever the case.
`total=true` also counts. Unknown query parameters are errors.

**Repeating a POST** is safe with an `Idempotency-Key`, a value of your own for each thing you mean to do (a
UUID, say): the first request takes effect, and any other with the same key is answered like the first, with
`Idempotency-Replayed: true`. Keys are kept for 24 hours, for each person (or API key that acts for nobody)
and each route. The same key with another path, query or body is 422 `idempotency_key_reused`; while the
first is still being answered, 409 `idempotency_key_in_flight` with `Retry-After`. A request that failed has
not used its key. Where a key is required, a request without is 400 `idempotency_key_required`. An answer
with a secret is not kept: a repeated request is 409 `idempotency_replay_has_secret` with the `id` of what
was made. A stream of events (`Accept: text/event-stream`) is not replayed: there the key has no effect.

**Changing what others change too**: things that can be changed have a `version` and the same as `ETag`.
Send it as `If-Match` with PATCH or DELETE; when somebody else was faster you get 412 `version_mismatch`
with the `current_version`, and nothing is changed. Without `If-Match` the last one wins. A GET with
`If-None-Match` is 304 without a body while the version is the same.

**Many at once**: a bulk operation takes up to 100 `items` and answers 200 with an entry for each: `status`
and either its `result` or its `problem`, as the single operation would give. An item that fails undoes
itself and no other. A request that does not fit its description, or meets a fault of the server, does
nothing at all.

**Limits**: every answer to a known caller has `RateLimit-Limit`, `RateLimit-Remaining` and
`RateLimit-Reset` (seconds). Above the limit: 429 with `Retry-After`. A 503 with `Retry-After` may be
repeated, too.

**Events**: every change of state is one event, in the order of `GET /v1/events`, which is the whole truth;
webhooks and the event stream push the same.

**Times** are RFC 3339 in UTC; ids are UUIDs that sort by the time they were made.
"""
