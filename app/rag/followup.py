"""Follow-up questions without a language model: carry over what the earlier question was about.

"What about yearly plans?" means nothing alone. A question that leans on the conversation (a pronoun, "what
about", hardly a word of its own) is searched together with the words of the question before; one that brings
a topic of its own is searched as it stands, so that an old topic does not leak into a new one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.rag.evidence import Turn
from app.rag.language import WORD, words

PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|that|this|those|these|he|she|ones?|there|the same|instead|else)\b",
    re.IGNORECASE,
)
OPENING = re.compile(r"^(?:what about|how about|what if|and (?:for|with|in|on|if|the)\b)", re.IGNORECASE)
CONNECTED = re.compile(r"^(?:and|but|so|or|then|also)\b", re.IGNORECASE)
# "Is there a …?" and "How long does it take to …?": the word stands for nothing said before.
EMPTY = re.compile(
    r"\bthere (?:is|are|any|an?)\b|\b(?:is|are|was|were) there\b|\b(?:at least|no|any|which|every) one\b"
    r"|\bit (?:(?:take|cost)s?|(?:is )?(?:possible|true|safe|necessary|allowed|required|legal|easy|free))"
    r" (?=(?:to|that|if)\b)"
    r"|\b(?:its|their)(?= own\b)",
    re.IGNORECASE,
)
OWN_TOPIC = 5  # content words with which a question stands alone in spite of a pronoun
CARRIED = 12  # words carried over at most


def stand_alone(question: str, history: Sequence[Turn]) -> str:
    """The question with the earlier topic in front when it leans on it; else as it is."""
    own = words(question)
    if not history or len(own) >= OWN_TOPIC or not _leans(question, len(own)):
        return question
    return f"{_topic(history[-1].standalone, exclude=set(own))} {question}".strip()


def _leans(question: str, own: int) -> bool:
    bare = question.strip()
    refers = OPENING.match(bare) or PRONOUN.search(EMPTY.sub(" ", bare))
    return bool(refers) or own <= 1 or (own <= 2 and CONNECTED.match(bare) is not None)


def _topic(earlier: str, *, exclude: set[str]) -> str:
    kept = [word for word in WORD.findall(earlier) if (stems := words(word)) and not set(stems) & exclude]
    return " ".join(kept[:CARRIED])
