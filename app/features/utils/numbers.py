"""What people call the desk's things."""

from app.features.constants import NUMBER_PREFIX, RELEASE_PREFIX
from app.numbers import Numbering

REQUESTS = Numbering(NUMBER_PREFIX)
RELEASES = Numbering(RELEASE_PREFIX)
