"""Members that several of the desk's schemas have."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from app.features.constants import (
    BODY_MAX,
    EXTERNAL_ID_MAX,
    NAME_MAX,
    SLUG_MAX,
    TAG_MAX,
    TAGS_MAX,
    TITLE_MAX,
)

# One line without controls; nor with what reorders the text around it, so that a name could pass for another.
ONE_LINE = r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*\S[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"
NO_NUL = r"^[^\x00]*$"

Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE, examples=["Mobile app"])]
Slug = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=SLUG_MAX,
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        description="Its name in addresses.",
        examples=["mobile-app"],
    ),
]
Title = Annotated[
    str, Meta(min_length=1, max_length=TITLE_MAX, pattern=ONE_LINE, examples=["Export to Excel"])
]
Text = Annotated[
    str,
    Meta(
        max_length=BODY_MAX,
        pattern=NO_NUL,
        description="Markdown.",
        examples=["Our accountant wants the monthly report as a **spreadsheet**."],
    ),
]
Body = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=BODY_MAX,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        description="Markdown.",
        examples=["We would use this every month."],
    ),
]
Tag = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=TAG_MAX,
        pattern=ONE_LINE,
        description="Case does not matter: kept in lower case.",
        examples=["export"],
    ),
]
Tags = Annotated[list[Tag], Meta(max_length=TAGS_MAX)]
ExternalId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=EXTERNAL_ID_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="Its id where it came from; unique on its board.",
        examples=["canny-5f2"],
    ),
]
RequestNumber = Annotated[str, Meta(description="What people call it.", examples=["FEA-3"])]
