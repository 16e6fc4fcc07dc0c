"""Members that several of the desk's schemas have."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from app.billing.constants import EXTERNAL_ID_MAX, NAME_MAX, NOTE_MAX, REASON_MAX, TITLE_MAX

# One line without controls; nor with what reorders the text around it, so that a name could pass for another.
ONE_LINE = r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*\S[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"
NO_NUL = r"^[^\x00]*$"

SubjectLine = Annotated[
    str, Meta(min_length=1, max_length=TITLE_MAX, pattern=ONE_LINE, examples=["Charged twice in November"])
]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE)]
Tag = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NAME_MAX,
        pattern=ONE_LINE,
        description="Case does not matter: kept in lower case.",
        examples=["vip"],
    ),
]
StaffReason = Annotated[
    str,
    Meta(
        max_length=REASON_MAX,
        pattern=NO_NUL,
        description="For the staff, kept in the timeline.",
        examples=["The bank asked for it."],
    ),
]
StaffNote = Annotated[str, Meta(max_length=NOTE_MAX, pattern=NO_NUL, description="For the staff.")]
ExternalId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=EXTERNAL_ID_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="Its id at the provider.",
        examples=["in_1Nxyz"],
    ),
]
