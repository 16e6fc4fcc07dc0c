"""Comments: threads of one level, the official answer, the staff's notes, and what waits for approval."""

from app.features.service.comments.editing import edit, remove
from app.features.service.comments.reading import COMMENTS, comments_of, listed
from app.features.service.comments.showing import show, show_all
from app.features.service.comments.writing import add, answer

__all__ = ["COMMENTS", "add", "answer", "comments_of", "edit", "listed", "remove", "show", "show_all"]
