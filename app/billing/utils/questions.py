"""What a question about billing asks for: found by its words, without a model.

Three kinds of questions look alike. "What do I owe?" is about the asker's own rows. "What does Oakhollow
owe?" is about somebody's, whose they are not. "What happens if a payment fails?" is about the rules, and
documents answer it. The first two are for the ledger; the third is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    """What is asked for."""

    owed = "owed"
    lines = "lines"
    tax = "tax"
    invoice = "invoice"
    payment = "payment"
    failed = "failed"
    refund = "refund"
    credit = "credit"
    plan = "plan"
    renewal = "renewal"
    dispute = "dispute"
    duplicate = "duplicate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """``number``: of an invoice, as it was written. ``ordinal``: which of several, ``last`` or ``first``.
    ``month`` and ``year``: of what is asked for, 1 to 12; a month alone is its last one. ``own``: it is about
    the asker's own matters. ``rules``: what it asks beside that, why or what the rules are, without the
    number."""

    topic: Topic
    own: bool
    number: str | None = None
    ordinal: str = "last"
    month: int | None = None
    year: int | None = None
    rules: str | None = None


NUMBER = re.compile(
    r"\b(?=[A-Z0-9/-]*\d)[A-Z]{1,6}[-/](?:[A-Z0-9]{1,8}[-/])*[A-Z0-9]*\d[A-Z0-9]*\b", re.IGNORECASE
)
# Tickets, cases and requests have numbers of the same form.
NOT_INVOICES = re.compile(r"^(?:TEC|BIL|REF|FEA|ISS)-\d+$", re.IGNORECASE)


def _words(words: str) -> re.Pattern[str]:
    """Any of the words and phrases between the bars; a star stands for the rest of a word."""
    return re.compile(rf"\b(?:{words.replace('*', chr(92) + 'w*')})\b")


# Who asks politely asks the same: "Could you tell me what I owe?" is "What I owe?". Neither the question
# whether one could nor the "me" makes it one about rules, or about oneself.
POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|dear \w+|good (?:morning|day|afternoon)|please|thanks|ok|so|and)\b[ ,.!]*)*"
    r"(?:(?:can|could|would|will) you (?:please |kindly |possibly )?"
    r"(?:tell|show|give|explain|list|check|confirm|say|remind)\b(?: to)?(?: me| us)?(?: please)?"
    r"|(?:show|tell|give) (?:me|us)|explain(?: to me)?|do you know|please"
    r"|(?:can|could|may) (?:i|we) (?:please )?(?:see|know|check|view|look at)"
    r"|(?:i|we)(?:'d| would)? (?:like|want|love|need) to (?:know|see|check|understand))[ ,:]+",
    re.IGNORECASE,
)
OWN = _words(
    "i|i'm|i've|me|my|mine|we|we're|we've|us|our|ours"
    "|the (?:last|latest|most recent|previous|next|first|current)"
    " (?:invoice|bill|payment|refund|charge|balance)"
)
THEIRS = _words("he|she|they|their|his|her|customer|the account|account of|company")
# A name that owns or acts: "Oakhollow's invoice", "does Oakhollow owe".
NAMED = re.compile(
    r"\b[A-Z][\w&-]+(?:\s+(?:&\s+)?[A-Z][\w&-]+)*'s\b(?<!It's)(?<!What's)(?<!That's)(?<!There's)(?<!Who's)"
    r"(?<!How's)(?<!Where's)(?<!Let's)(?<!When's)"
    r"|\b(?:does|[Dd]id|[Hh]as|is|was|are)\s+(?!(?:I|VAT|GST|SEPA|EUR|USD|BW)\b)[A-Z][\w&'-]+"
)
# However it is written: who owes, but oneself; the balance of somebody; somebody's invoice.
NAMED_PLAINLY = re.compile(
    r"\b(?:does|did) (?!(?:i|we|you|it|the|our|my|a|an|one|\w+one|every\w*|each|vat|tax|brindlewerk)\b)"
    r"(?:[\w&'-]+ ){1,4}?(?:owe|pay)\b"
    r"|\b(?:who|which \w+|everyone|everybody) (?:still )?owes?\b"
    r"|\b(?:balance|arrears) (?:of|for) (?!(?:my|our|the|a|an|me|us|this|invoice|bw)\b)\w"
    r"|\b(?!(?:it|what|that|there|who|how|where|let|when|today|month|year|week|quarter|customer|company)'s)"
    r"\w+'s (?:last |latest |next |first |open |unpaid )?(?:invoices?|bills?|balance|payments?|refunds?)\b"
    r"|\b(?:invoices?|bills?|balances?|payments?|refunds?|plans?) (?:of|for|from)"
    r" (?:all|every|each|other|another|any) (?:of )?(?:your |the )?(?:other )?(?:customers?|accounts?|compan)"
)
# What is somebody's: "the balance of Oakhollow", "invoices for Marlgate".
OF_NAMED = re.compile(
    r"\b(?:balance|invoices?|bills?|payments?|refunds?|credit|plan|subscription|disputes?|account)"
    r"\s+(?:of|for)\s+(?!BW\b)[A-Z][\w&-]*"
)
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
MONTH = re.compile(
    rf"(?:\b(?:in|for|of|from|during|since) (?i:({MONTHS}))|\b(?!May (?:I|we|you|the)\b)({MONTHS}))\b"
    r"(?:,? (20[0-9]{2})\b)?"
)
# The rules in general: what one may, what happens if, how something is done.
GENERAL = (
    _words(
        "(?:can|could|may|might|should|shall|must) (?:i|we|you|one|a|an|the|my|our)"
        "|how (?:do|does|can|could|should|would|often|to)|how long (?!until|till|ago|has|have)"
        "|what (?:happens|if|are the rules)"
        "|when (?:do|does) (?:you(?! (?:bill|charge|debit|invoice) (?:me|us|our|my))|a|an|refunds|payments"
        "|invoices)"
        "|what is the (?:policy|rule|difference)|which (?:payment )?methods"
        "|where (?:do|can|should)"
    ),
    _words(
        "is it possible|(?:am i|are we) (?:allowed|able|entitled)|does brindlewerk"
        "|do you(?! (?:bill|charge|debit|invoice) (?:me|us|our|my))"
        "|(?<!much )(?<!what )do (?:i|we) (?:need|have) to|who (?!owes)"
        "|if (?:i|we|a|an|my|our|the|payment)"
    ),
    # What is to be done, or what a plan is: no question about rows.
    _words(
        "chang*|upgrad*|downgrad*|switch*|cancel*|includ*|add|remove|correct*|update*|be issued"
        "|(?:when|what|do) (?:do )?(?:i|we) lose|expires?|runs? out"
    ),
    # What works or does not, and what a plan allows.
    _words(
        "e[0-9]{4}|printers?|terminals?|readers?|scanners?|limits?|api|webhooks?|log ?in|passwords?|install*"
        "|firewalls?|sso|storage|support hours?|response times?|data|stored|secur*|encrypt*|gdpr|delet*"
        "|export*|(?:vat|tax) (?:number|id)s?"
    ),
)
POLICY = _words(
    "why|policy|rules?|terms|allowed|entitled|eligible|how come"
    "|when (?:do|will|can) (?:i|we) (?:get|see|receive)"
)
FIRST = _words("first|oldest|earliest")

CHARGED = "charg*|paid|pay|bill*|debit*|collect*|payment*|took|take|taken"
# A topic holds when every group of words of one of its rows has one in the text; the first that holds it is.
_TOPICS: Sequence[tuple[Topic, Sequence[Sequence[str]]]] = (
    (
        Topic.duplicate,
        [("twice|two times|double|doubly|duplicate*|second time", CHARGED)],
    ),
    (Topic.dispute, [("disput*|chargeback*|charge-back*",)]),
    (Topic.refund, [("refund*|money back|reimburse*|paid back|pay back|give back|returned",)]),
    (
        Topic.failed,
        [
            (
                "payment*|charge*|card|debit|collection",
                "fail*|declin*|reject*|bounce*|not go through|went wrong|refused",
            )
        ],
    ),
    (Topic.tax, [("vat|tax|taxes|sales tax|gst",)]),
    (
        Topic.lines,
        [
            ("line items?|lines?|items?|itemi[sz]ed|positions|break ?down|made up of|consist*|compos*",),
            (
                "what|which",
                "paying for|charged for|billed for|(?:charge|bill)(?:d|ed)? (?:me|us) for|covers?",
            ),
            ("(?:on|in) (?:my|our|the) (?:last |latest |first )?(?:invoice|bill)",),
            ("explain", "invoices?|bills?|charges?"),
            ("why", "charged|billed|invoice|bill|so high|so much|amount"),
        ],
    ),
    (
        Topic.renewal,
        [
            ("next|upcoming|coming", "invoice*|bill*|payment*|charg*|due"),
            ("when", "again", "bill*|charg*|invoic*|pay"),
            ("renew*|billing date|billing period",),
        ],
    ),
    (
        Topic.owed,
        [
            ("owe|owes|owed|owing|outstanding|unpaid|overdue|past due|balance|arrears",),
            ("still (?:have )?to pay|left to pay|due (?:now|today|at the moment)",),
            ("open", "invoice*|amount*|bill*"),
        ],
    ),
    (Topic.credit, [("credits?(?! card| note)|goodwill",)]),
    (
        Topic.payment,
        [
            ("last|latest|most recent|previous|first|my|our", "payment*"),
            ("when|how", "paid|pay"),
            ("payment*", "arriv*|receiv*|got|get|come in|went through|go through"),
            ("(?:is|was|has|been)", "paid"),
        ],
    ),
    (
        Topic.plan,
        [
            ("(?:what|which) (?:plan|subscription|tier|package)",),
            ("(?:^|what is |what's |about )(?:my|our) (?:current )?(?:plan|subscription)(?!'s)",),
            (
                "(?:my|our) (?:current )?(?:plan|subscription)",
                "cost*|pric*|pay*|status|active|running|paused|seats|users",
            ),
            ("how many|number of", "seats|users|licen[cs]es"),
            ("pay*|cost*|charg*", "per seat|a seat|each seat"),
            ("(?:am i|are we) (?:on|subscribed)",),
        ],
    ),
    (
        Topic.invoice,
        [("invoices?|bills?",), ("how much|what", "charged?|billed|pay|paid|spend|spent|cost*")],
    ),
)
TOPICS = tuple(
    (topic, tuple(tuple(_words(group) for group in row) for row in rows)) for topic, rows in _TOPICS
)


def understood(text: str) -> Question | None:
    """What the text asks of somebody's rows; None when it asks nothing of them."""
    plain = " ".join(text.replace("\u2019", "'").split())
    bare = POLITE.sub("", plain)
    lowered = bare.lower()
    topic = _topic_of(plain.lower()) or _topic_of(lowered)
    if topic is None:
        return None
    number = next((each for each in NUMBER.findall(plain) if not NOT_INVOICES.match(each)), None)
    own, others = OWN.search(lowered) is not None, _names_others(bare)
    if number is None and (any(each.search(lowered) for each in GENERAL) or not (own or others)):
        return None
    month, year = _month_of(plain)
    return Question(
        topic=topic,
        own=number is not None or not others,
        number=number,
        ordinal="first" if FIRST.search(lowered) else "last",
        month=month,
        year=year,
        rules=_without(plain, number) if POLICY.search(lowered) else None,
    )


def _month_of(text: str) -> tuple[int | None, int | None]:
    """(month, year) that the text names; May the month is told from what one may by what is beside it."""
    found = MONTH.search(text)
    if found is None:
        return None, None
    name = (found[1] or found[2]).capitalize()
    return MONTHS.split("|").index(name) + 1, None if found[3] is None else int(found[3])


def _without(text: str, number: str | None) -> str:
    """The text without an invoice's number, which no document has."""
    return text if number is None else " ".join(text.replace(number, "").split())


def _topic_of(lowered: str) -> Topic | None:
    for topic, rows in TOPICS:
        if any(all(group.search(lowered) for group in row) for row in rows):
            return topic
    return None


def _names_others(text: str) -> bool:
    """Whether rows of somebody else are asked for in so many words, whatever else is said of oneself."""
    bare = re.sub(rf"\b(?:{MONTHS})\b", "", text)
    if NAMED.search(bare) or OF_NAMED.search(bare) or NAMED_PLAINLY.search(bare.lower()):
        return True
    return THEIRS.search(bare.lower()) is not None and OWN.search(bare.lower()) is None
