"""What can be wrong with a key, and the answer that was given before."""

from __future__ import annotations

from collections.abc import Mapping

from app.exceptions import ConflictError, InvalidError, UnprocessableError


class InvalidKeyError(InvalidError):
    """The `Idempotency-Key` is not 1 to 255 printable ASCII characters, or comes more than once."""


class KeyRequiredError(InvalidError):
    """This operation needs an `Idempotency-Key`."""

    code = "idempotency_key_required"
    title = "Idempotency key required"


class KeyReusedError(UnprocessableError):
    """The `Idempotency-Key` was used with another request."""

    code = "idempotency_key_reused"
    title = "Idempotency key reused"


class KeyInFlightError(ConflictError):
    """A request with the same `Idempotency-Key` is being answered at this moment."""

    code = "idempotency_key_in_flight"
    title = "Idempotency key in flight"


class ReplayHasSecretError(ConflictError):
    """The first answer held a secret, which is not stored; `id` names the thing that was made."""

    code = "idempotency_replay_has_secret"
    title = "Replay has a secret"


class ReplayErasedError(ConflictError):
    """The first answer was about a person who has been erased since."""

    code = "idempotency_replay_erased"
    title = "Replay was erased"


class Replay(Exception):  # noqa: N818 - no error: it carries the answer past the handler
    """The same request was answered before: with this."""

    def __init__(self, *, status: int, headers: Mapping[str, str], body: bytes, made_id: str | None) -> None:
        super().__init__("answered before")
        self.status = status
        self.headers = dict(headers)
        self.body = body
        self.made_id = made_id
