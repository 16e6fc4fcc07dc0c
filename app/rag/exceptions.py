"""What can go wrong in the rag room, by stable code."""

from __future__ import annotations

from app.exceptions import ConflictError, NotFoundError, UnprocessableError


class CollectionNotFoundError(NotFoundError):
    """No such collection."""

    code = "collection_not_found"


class DocumentNotFoundError(NotFoundError):
    """No such document, or not for this reader."""

    code = "document_not_found"


class AnswerNotFoundError(NotFoundError):
    """No such answer, or not this reader's."""

    code = "answer_not_found"


class ChatNotFoundError(NotFoundError):
    """No such chat, or not this reader's."""

    code = "chat_not_found"


class NoteNotFoundError(NotFoundError):
    """The case has no resolution note."""

    code = "resolution_note_not_found"


class QuestionClusterNotFoundError(NotFoundError):
    """There are no such unanswered questions."""

    code = "question_cluster_not_found"


class UnknownDocumentError(UnprocessableError):
    """The document that the request names does not exist."""

    code = "unknown_document"


class CollectionExistsError(ConflictError):
    """A collection of that name exists."""

    code = "collection_exists"


class CollectionNotEmptyError(ConflictError):
    """The collection still holds documents."""

    code = "collection_not_empty"


class SourceExistsError(ConflictError):
    """The collection that it should move to has a document of the same source."""

    code = "source_exists"


class UnknownAccountError(UnprocessableError):
    """The audience names an account that does not exist."""

    code = "unknown_account"


class NoteWithoutSolutionError(UnprocessableError):
    """A resolution note without a solution says nothing."""

    code = "note_without_solution"


class InvalidValidityError(UnprocessableError):
    """A document cannot end before it begins."""

    code = "invalid_validity"
