"""Mail: in by a signed route, out by SMTP, threaded by ids and tokens, guarded against loops.

A desk takes mail by ``knowledge.InboundMail`` and sends it with a ``Mailer``; ``main`` ties them. Both
directions are off until they are configured.

A desk sends a reply in the transaction that posts it, one mail a reader. Answers come back to the subject,
earlier mails are referred to, suppressed addresses get nothing, and who may leave finds a link::

    posted = await conversations.post(session, conversation, author=principal, body=..., kind=...)
    message, kind = posted.message, MessageKind(posted.message.kind)
    for reader in await conversations.participants.recipients(
        session, conversation, kind=kind, besides=message.author_person_id
    ):
        await mailer.send(
            session, template="reply", to=reader.address, to_name=reader.name, person_id=reader.person_id,
            title=..., context={"body": message.body_text, "body_html": message.body_html, "author": ...},
            subject=subject, automatic=message.automatic,
            scope=f"ticket:{ticket.id}" if reader.may_leave else None,
        )

Nothing answers automatic mail: the guards keep it from every desk. An automatic message says that it is one.
"""

from app.mail.constants import RECEIVE_JOB, SEND_JOB
from app.mail.service import MAIL_DATA, Deliverer, Mailer, Receiver, sweep

__all__ = ["MAIL_DATA", "RECEIVE_JOB", "SEND_JOB", "Deliverer", "Mailer", "Receiver", "sweep"]
