"""Follow-up questions without a language model: carry over what the earlier question was about.

"What about yearly plans?" means nothing alone. A question that leans on the conversation (a pronoun, "what about",
hardly a word of its own) is searched together with the words of the question before; one that brings a topic of its
own is searched as it stands, so that an old topic does not leak into a new one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.rag.evidence import Turn
from app.rag.language import WORD, words

LEANING = re.compile(
    r"^(?:and|but|so|or|then|also|what about|how about|what if|why not|why|how so|really)\b"
    r"|\b(?:it|its|they|them|their|that|this|those|these|there|he|she|the same|one|ones|instead|else)\b",
    re.IGNORECASE,
)
OWN_TOPIC = 5  # content words with which a question stands alone in spite of a pronoun
CARRIED = 12  # words carried over at most


def stand_alone(question: str, history: Sequence[Turn]) -> str:
    """The question with the earlier topic in front when it leans on it; else as it is."""
    own = words(question)
    if not history or len(own) >= OWN_TOPIC or not (LEANING.search(question) or len(own) <= 1):
        return question
    return f"{_topic(history[-1].standalone, exclude=set(own))} {question}".strip()


def _topic(earlier: str, *, exclude: set[str]) -> str:
    kept = [word for word in WORD.findall(earlier) if (stems := words(word)) and not set(stems) & exclude]
    return " ".join(kept[:CARRIED])
