"""What people call the desk's things."""

from app.billing.constants import NUMBER_PREFIX
from app.numbers import Numbering

CASES = Numbering(NUMBER_PREFIX)
