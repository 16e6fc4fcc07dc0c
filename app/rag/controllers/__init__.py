"""The rag routes."""

from app.rag.controllers.answers import AnswerController, ChatController
from app.rag.controllers.collections import CollectionController
from app.rag.controllers.documents import DocumentController
from app.rag.controllers.search import search
from app.rag.controllers.unanswered import UnansweredController

__all__ = [
    "AnswerController",
    "ChatController",
    "CollectionController",
    "DocumentController",
    "UnansweredController",
    "search",
]
