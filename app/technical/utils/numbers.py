"""What people call the desk's things."""

from app.numbers import Numbering
from app.technical.constants import ISSUE_PREFIX, NUMBER_PREFIX

TICKETS = Numbering(NUMBER_PREFIX)
ISSUES = Numbering(ISSUE_PREFIX)
