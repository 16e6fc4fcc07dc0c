"""The rag routes."""

from app.rag.controllers.answers import AnswerController, ChatController
from app.rag.controllers.documents import CollectionController, DocumentController
from app.rag.controllers.search import search

__all__ = ["AnswerController", "ChatController", "CollectionController", "DocumentController", "search"]
