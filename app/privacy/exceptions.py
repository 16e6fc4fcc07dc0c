"""What the privacy room refuses, each with a stable ``code``."""

from __future__ import annotations

from app.exceptions import NotFoundError, UnprocessableError


class PersonNotFoundError(NotFoundError):
    """No such person, or not for this caller."""

    code = "person_not_found"


class ErasureNotFoundError(NotFoundError):
    """No such person, or they have not been erased."""

    code = "erasure_not_found"


class ConfirmationMismatchError(UnprocessableError):
    """The confirmation is not the id of the person in the address."""

    code = "confirmation_mismatch"
    title = "Confirmation mismatch"
