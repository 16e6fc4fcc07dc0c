"""Why a file could not be turned into text: one error, told apart by its stable ``code``."""

from __future__ import annotations

from enum import StrEnum

from app.exceptions import TrideskError


class Code(StrEnum):
    """The stable codes of :class:`ParsingError`."""

    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    FILE_EMPTY = "file_empty"
    FILE_ENCRYPTED = "file_encrypted"
    FILE_CORRUPT = "file_corrupt"
    FILE_WITHOUT_TEXT = "file_without_text"
    FILE_WRONG_TYPE = "file_wrong_type"
    FILE_TOO_LARGE = "file_too_large"
    FILE_ENCODING = "file_encoding"
    PARSE_TIMEOUT = "parse_timeout"
    PARSER_CRASHED = "parser_crashed"


class ParsingError(TrideskError):
    """The file cannot be read as text; ``code`` is one of :class:`Code`, ``detail`` says what to do about
    it.
    """

    status_code = 422
    code = Code.FILE_CORRUPT
    title = "File cannot be read"

    def __init__(self, detail: str = "", *, code: str | None = None, **extra: object) -> None:
        super().__init__(detail, code=str(code) if code is not None else None, **extra)
