"""A person's data across all rooms: handed out, and erased."""

from app.privacy.service import erase_person, export_person, get_receipt

__all__ = ["erase_person", "export_person", "get_receipt"]
