"""The vocabulary that rooms share without knowing each other; ``main`` ties them together.

Whoever implements one of these protocols registers it in ``main``; each method takes the caller's session.
"""

from app.knowledge.answers import Answers, Asked, Draft, Exchange, Passage, Retrieved
from app.knowledge.citations import ChunkCitation, Citation, Outcome, RecordCitation
from app.knowledge.desks import AccountFacts, Amount, OpenWork, Pointing, Revenue, WorkCount, WorkItem
from app.knowledge.mail import InboundMail, MailAttachment, ReceivedMail
from app.knowledge.notes import PublishedNote, ResolutionNote
from app.knowledge.people import PersonalData
from app.knowledge.records import Records, RecordStatement, Told
from app.knowledge.threads import Thread
from app.knowledge.vectors import Embeds

__all__ = [
    "AccountFacts",
    "Amount",
    "Answers",
    "Asked",
    "ChunkCitation",
    "Citation",
    "Draft",
    "Embeds",
    "Exchange",
    "InboundMail",
    "MailAttachment",
    "OpenWork",
    "Outcome",
    "Passage",
    "PersonalData",
    "Pointing",
    "PublishedNote",
    "ReceivedMail",
    "RecordCitation",
    "RecordStatement",
    "Records",
    "ResolutionNote",
    "Retrieved",
    "Revenue",
    "Thread",
    "Told",
    "WorkCount",
    "WorkItem",
]
