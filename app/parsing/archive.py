"""What a ZIP claims to hold, checked before anything in it is opened."""

from __future__ import annotations

import io
import zipfile

from app.parsing.blocks import Limits
from app.parsing.exceptions import Code, ParsingError

_ENCRYPTED = 0x1
_RATIO_FROM = 10_000_000


def check_archive(data: bytes, limits: Limits) -> None:
    """Refuse a bomb (``file_too_large``) or an encrypted archive (``file_encrypted``).

    The sizes are those of the central directory; ``zipfile`` never inflates an entry beyond its stated size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ParsingError("the file is damaged or incomplete", code=Code.FILE_CORRUPT) from error
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise ParsingError("the document is protected by a password", code=Code.FILE_ENCRYPTED)
    expanded = sum(entry.file_size for entry in entries)
    markup = sum(entry.file_size for entry in entries if entry.filename.lower().endswith((".xml", ".rels")))
    if (
        len(entries) > limits.archive_entries
        or expanded > limits.expanded_bytes
        or markup > limits.expanded_xml_bytes
        or expanded > max(_RATIO_FROM, len(data) * limits.expansion_ratio)
    ):
        raise ParsingError("the document expands to an unreasonable size", code=Code.FILE_TOO_LARGE)
