"""What a message says, without greeting, closing, signature and quoted mail; in doubt a line is kept."""

from __future__ import annotations

import re

from app.mail.quoting import split_text

GREETING_MAX = 60  # characters of a line that is only a greeting
NAME_LINES = 6  # lines below a closing: name, title, company, telephone
NAME_MAX = 60  # characters of each
ACKNOWLEDGEMENT_MAX = 300

_HELLO = (
    r"(?:hi|hello|hey|hallo|dear|moin|servus|bonjour|hola|ciao|good (?:morning|afternoon|evening|day)"
    r"|guten (?:morgen|tag|abend)|sehr geehrte[rn]?|liebe[rs]?|buenos días|buenas tardes)"
)
GREETING = re.compile(rf"{_HELLO}\b[^\n,.!?:;]{{0,50}}[,.!:;]?\s*", re.IGNORECASE)
# On the line of what is said, a greeting ends in a mark: "Hi Ann, the export…", not "Hello world fails".
LEADING = re.compile(rf"{_HELLO}\b(?: [^\n,.!?:;]{{1,30}})?[,!] +(?=\S)", re.IGNORECASE)
CLOSING = re.compile(
    r"(?:(?:(?:kind|best|warm|many) )?(?:regards|wishes)|all the best|sincerely(?: yours)?"
    r"|yours (?:truly|faithfully|sincerely)|cheers|best|many thanks"
    r"|thanks(?: a lot| so much| again| in advance)?|thank you(?: very much| so much| in advance)?"
    r"|(?:mit )?(?:freundliche|viele|liebe|beste|schöne)n? gr(?:üß|üss|uess)en?|mfg"
    r"|danke(?: im voraus)?|vielen dank(?: im voraus)?"
    r"|cordialement|bien à vous|merci(?: d'avance)?|saludos|atentamente|gracias)"
    r"(?: and (?:kind |best )?regards)?[,.!]*",
    re.IGNORECASE,
)
DEVICE = re.compile(
    r"(?:sent from my|gesendet von meinem|envoyé de mon|enviado desde mi) .{1,40}", re.IGNORECASE
)
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
THANKS = re.compile(
    r"\b(?:thanks|thank you|thx|works|worked|working|solved|fixed|resolved|perfect|great|danke|dank|merci"
    r"|gracias|funktioniert|geht wieder|gelöst|marche|funciona)\b",
    re.IGNORECASE,
)
BUT = re.compile(
    r"\?|\b(?:not|but|still|again|however|never|no|cannot|nicht|aber|noch|pas|mais|pero|sigue)\b|n't\b",
    re.IGNORECASE,
)


def essence(text: str) -> str:
    """What a message is about. A text that is nothing but courtesy comes back as it is."""
    lines = split_text(text.replace("\r\n", "\n"))[0].split("\n")
    kept = _without_greeting(_without_closing(lines))
    said = BLANK_LINES.sub("\n\n", "\n".join(kept)).strip()
    return said or text.strip()


def is_acknowledgement(text: str) -> bool:
    """Whether a customer's message only says that it is well: short, thankful, without question or but."""
    said = split_text(text.replace("\r\n", "\n"))[0]
    return len(said) <= ACKNOWLEDGEMENT_MAX and THANKS.search(said) is not None and BUT.search(said) is None


def _without_greeting(lines: list[str]) -> list[str]:
    start = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    if start == len(lines):
        return lines
    first = lines[start].strip()
    if len(first) <= GREETING_MAX and GREETING.fullmatch(first):
        return lines[start + 1 :]
    return [LEADING.sub("", first, count=1), *lines[start + 1 :]] if LEADING.match(first) else lines[start:]


def _without_closing(lines: list[str]) -> list[str]:
    """Up to the first of the last lines that closes, when only names follow it."""
    while lines and (not lines[-1].strip() or DEVICE.fullmatch(lines[-1].strip())):
        lines = lines[:-1]
    for number in range(max(1, len(lines) - NAME_LINES - 1), len(lines)):
        below = [line.strip() for line in lines[number + 1 :]]
        if CLOSING.fullmatch(lines[number].strip()) and all(len(line) <= NAME_MAX for line in below):
            return _without_closing(lines[:number])
    return lines
