"""Error signatures: what is left of a stack trace, an exception or a code when all that varies is gone.

Three kinds, each a text of at most 400 characters:

- ``trace:NullPointerException@Cart.total<Checkout.pay``: an exception with the innermost functions of the
  application (those of runtimes and frameworks left out), neither message nor line numbers, so that versions,
  machines and languages agree;
- ``error:KeyError: 'plan_id'``: an exception with its message, numbers, ids, paths and addresses replaced;
  ``error:KeyError`` where nothing more is told;
- ``code:ORA-00942``: an error code as its maker publishes it.

Lines are looked at one by one and cut at 500 characters, and no pattern backtracks over more than one line,
so that the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

SIGNATURES_MAX = 20
LENGTH_MAX = 400
LINE_MAX = 500
LINES_MAX = 5_000
FRAMES = 3
MESSAGE_MAX = 160

# --- what varies in a message -------------------------------------------------------------------------------

VARYING: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>)\]]+", re.IGNORECASE), "<url>"),
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,200}@[\w-]{1,64}(?:\.[\w-]{1,64})+"), "<email>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>"),
    (re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\\/][\w.@ +~$-]{1,80}){2,}[\\/]?"), "<path>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,}\b", re.IGNORECASE), "<id>"),
    # Numbers and times, also with a unit; not the digits inside of a name.
    (re.compile(r"(?<!\w)[+-]?\d+(?:[.,:/T-]\d+)*Z?(?=[A-Za-z%]{0,3}(?!\w))"), "<n>"),
    (re.compile(r"\s+"), " "),
)

# --- exceptions ---------------------------------------------------------------------------------------------

KIND = r"(?:Error|Exception|Throwable|Fault|Failure|Interrupt|Timeout|Warning|Panic)"
NAME = rf"(?:[A-Za-z_$][\w$]{{0,60}}(?:\.|::|\\|/)){{0,12}}[A-Z][\w$]{{0,80}}{KIND}[\w$]{{0,20}}"
HEADING = re.compile(
    rf"(?:^|[\s:>\[(\"'`])(?:PHP )?(?:Fatal error: |Uncaught |Unhandled exception\. |Caused by: |FATAL: )*"
    rf"(?P<name>{NAME})(?P<rest>: .{{1,400}}|\s*$|[.,;!?)\]\"'`](?:\s|$))"
)
RUBY = re.compile(
    rf"^\S{{1,200}}\.rb:\d+:in [`'](?P<function>[^'`]{{1,100}})': (?P<message>.{{1,300}}) "
    rf"\((?P<name>{NAME})\)"
)
PANIC = re.compile(r"^\s*panic: (?P<message>.{1,400})$")
RUST = re.compile(r"^\s*thread '[^']{1,80}' (?:\(\d+\) )?panicked at (?:'(?P<message>[^']{1,300})')?")
NATIVE = re.compile(
    r"\b(?P<name>SIGSEGV|SIGABRT|SIGBUS|SIGILL|SIGFPE|EXC_BAD_ACCESS|EXC_CRASH|EXCEPTION_ACCESS_VIOLATION"
    r"(?:_READ|_WRITE|_EXEC)?)\b|\b(?P<fault>[Ss]egmentation fault)\b"
)
ALONE = re.compile(r"(?<![\w.])(?P<name>(?:[A-Z][a-z0-9]+){1,6}(?:Error|Exception))(?![\w(])")

# --- frames: the innermost comes first, but in Python -----------------------------------------------------

PYTHON = re.compile(r'^\s*File "(?P<file>[^"]{1,300})", line \d+, in (?P<function>.{1,120})$')
AT = re.compile(
    r"^\s*(?:at|в|bei|à|en|w|場所) (?:async |new )?(?P<function>[^\s(]{1,200}(?: \[as \w{1,60}\])?)\s?\("
)
AT_FILE = re.compile(r"^\s*at (?P<file>(?:file://)?\S{1,300}?):\d+(?::\d+)?$")
GECKO = re.compile(r"^(?P<function>[\w$.<>/*]{1,120})@(?P<file>\S{1,300}?):\d+(?::\d+)?$")
FROM = re.compile(r"^\s*(?:from )?\S{1,200}\.rb:\d+:in [`'](?P<function>[^'`]{1,120})'")
PHP_FRAME = re.compile(r"^#\d+ \S{1,300}\(\d+\): (?P<function>[\w\\:>{}-]{1,200})\(")
GDB = re.compile(r"^#\d+\s+(?:0x[0-9a-f]+ in )?(?P<function>[\w:~<>.$]{1,200})\s?\(")
MAC = re.compile(r"^\d+\s+(?P<module>\S{1,80})\s+0x[0-9a-f]+\s+(?P<function>\S{1,160}) \+ \d+")
MODULE = re.compile(
    r"(?<![\w.-])(?P<function>[\w.-]{1,80}\.(?:dll|exe|so|dylib|sys))(?:\.\d+)*\s?\+\s?0x[0-9a-f]+",
    re.IGNORECASE,
)
RUST_FRAME = re.compile(
    r"^\s*\d{1,4}: (?:0x[0-9a-f]+ - )?(?P<function>(?:\w{1,80}::){1,12}[\w:<>{}#$.]{1,120})$"
)
GO = re.compile(
    r"^(?P<function>(?:[\w.-]{1,60}/){0,8}[\w-]{1,60}\.[\w.()*]{1,120})\((?:0x[0-9a-f]+|\.\.\.|\{|\))"
)

FRAME_PATTERNS = (PYTHON, AT, AT_FILE, GECKO, FROM, PHP_FRAME, GDB, MAC, RUST_FRAME, GO, MODULE)

FOREIGN = re.compile(
    r"^(?:(?:java|javax|jdk|sun|com\.sun|kotlin|kotlinx|scala|org\.springframework|org\.apache|org\.junit)[./]"
    r"|(?:io\.netty|System|Microsoft|Newtonsoft|runtime|net/http|reflect|testing|zone\.js)[./]"
    r"|node:|internal/|std::|core::|alloc::"
    r"|__libc|__GI_|_start|raise$|abort$|pthread_|clone$|KERNELBASE|kernel32|ntdll|ucrtbase|libsystem_"
    r"|Object\.<anonymous>$|Module\._|Function\.executeUserEntryPoint|processTicksAndRejections"
    r"|new Promise|Promise\.)"
)
FOREIGN_FILES = re.compile(
    r"site-packages|dist-packages|node_modules|/lib/python|node:internal|<frozen |/gems/|\.rs$"
)
# Classes that a virtual machine or a framework makes: what they call has a frame of its own.
MADE = re.compile(r"\$\$(?:Lambda|EnhancerBy|FastClassBy|Spring)")
GENERATED = (
    (re.compile(r"lambda\$(\w{1,60})\$\d+"), r"\1"),
    (re.compile(r"<(\w{1,80})>[bdg]__\d+(?:_\d+)?"), r"\1"),  # C#: closures and state machines
    (re.compile(r"\.MoveNext$|<>c(?:__DisplayClass\d+_\d+)?\."), ""),
    (re.compile(r" \[as \w+\]$|^async "), ""),
    (re.compile(r"\bblock (?:\(\d+ levels\) )?in "), ""),
    (re.compile(r"\.func\d+(?:\.\d+)*$"), ""),
    (re.compile(r"::h[0-9a-f]{16}$"), ""),
    (re.compile(r"`\d+(?=[.\[(]|$)|\$\d+\b"), ""),
    (re.compile(r"[<(].*$", re.DOTALL), ""),
)

# --- codes --------------------------------------------------------------------------------------------------

CODES = re.compile(
    r"(?<![\w-])(?:"
    r"(?P<plain>ERR_[A-Z][A-Z0-9_]{2,60}|(?:NS|SEC|SSL|MOZILLA_PKIX|CURLE|DNS|WSA|SQLITE|PR)_ERROR_[A-Z0-9_]{2,60}"
    r"|(?:SQLITE|CURLE|STATUS|DXGI_ERROR)_[A-Z][A-Z0-9_]{2,60}"
    r"|E(?:ACCES|ADDRINUSE|ADDRNOTAVAIL|AI_AGAIN|BUSY|CONNABORTED|CONNREFUSED|CONNRESET|EXIST|HOSTUNREACH|ISDIR"
    r"|LOOP|MFILE|NETUNREACH|NOENT|NOMEM|NOSPC|NOTDIR|NOTEMPTY|NOTFOUND|PERM|PIPE|ROFS|RESOLVE|TIMEDOUT|XDEV)"
    r"|(?:ORA|PLS|TNS|RMAN|DB2|SQL|JBAS|WFLY|ISPN|HHH|CS|TS|BC|AADSTS|SVN|PGRST|GLPI|MSB|NU|LNK)-?\d{4,6}"
    r"|E\d{4,6}(?=:| )|0[xX](?:8|[cC])[0-9a-fA-F]{7})(?![\w-])"
    r"|SQLSTATE[ \[:]{1,3}(?P<state>[0-9A-Z]{5})"
    r"|(?:HTTP(?:/\d(?:\.\d)?)? |[Ss]tatus(?: code)?:? |[Ee]rror(?: code)?:? |[Cc]ode )"
    r"(?P<http>[45]\d\d)(?!\d)"
    r"|(?P<reason>[45]\d\d) (?:Bad Request|Unauthorized|Forbidden|Not Found|Method Not Allowed|Conflict"
    r"|Gone|Unprocessable|Too Many Requests|Internal Server Error|Bad Gateway|Service Unavailable"
    r"|Gateway Time-?out)"
    r"|MySQL error (?P<mysql>\d{4})|error (?P<signal>\d{3,5}) \((?P<mark>[0-9A-Z]{5})\)"
    r")"
)


@dataclass(slots=True)
class _Trace:
    """An exception and the frames below (in Python: above) it."""

    name: str
    frames: list[str] = field(default_factory=list)


def found(*texts: str) -> list[str]:
    """The signatures in these texts, sorted, each once, at most 20; the traces go before the codes."""
    kept: dict[str, None] = {}
    for text in texts:
        for signature in _signatures(text):
            kept.setdefault(signature[:LENGTH_MAX], None)
    order = sorted(kept, key=lambda each: ("trace", "error", "code").index(each.partition(":")[0]))
    return sorted(order[:SIGNATURES_MAX])


def _signatures(text: str) -> Iterator[str]:
    above: list[str] = []  # Python's frames come before their exception, innermost last
    trace: _Trace | None = None
    for line in text.splitlines()[:LINES_MAX]:
        line = line[:LINE_MAX].strip("\r\t >|*`")  # noqa: PLW2901 - quoting marks of mail and Markdown
        yield from _codes(line)
        frame = None if RUBY.search(line) else _frame(line)
        if frame is not None:
            function, outermost_first = frame
            if outermost_first:
                above.append(function)
            elif trace is not None and len(trace.frames) < FRAMES:
                trace.frames += [function] * bool(function)
            continue
        heading = _heading(line)
        if heading is None:
            continue
        if trace is not None:
            yield _traced(trace)
        name, message = heading
        trace = _Trace(name, [each for each in reversed(above) if each][:FRAMES])
        if own := RUBY.search(line):
            trace.frames.append(own["function"])
        above = []
        if message:
            yield f"error:{name}: {message}"
    if trace is not None:
        yield _traced(trace)


def _traced(trace: _Trace) -> str:
    innermost = "<".join(trace.frames)
    return f"trace:{trace.name}@{innermost}" if innermost else f"error:{trace.name}"


def _heading(line: str) -> tuple[str, str] | None:
    """(simple name, normalised message) of an exception that this line names."""
    for pattern in (RUBY, HEADING):
        if match := pattern.search(line):
            groups = match.groupdict()
            message = groups.get("message") or (groups.get("rest") or "")
            return _simple(match["name"]), _normal(message.removeprefix(": ")) if len(message) > 2 else ""
    if match := PANIC.search(line):
        return "panic", _normal(match["message"])
    if match := RUST.search(line):
        return "panic", _normal(match["message"] or "")
    if match := NATIVE.search(line):
        return match["name"] or "SIGSEGV", ""
    if match := ALONE.search(line):
        return match["name"], ""
    return None


def _simple(name: str) -> str:
    return re.split(r"[.\\/]|::", name)[-1]


def _frame(line: str) -> tuple[str, bool] | None:
    """(function, or nothing for one that is not the application's; whether the outermost comes first)."""
    for pattern in FRAME_PATTERNS:
        if match := pattern.search(line):
            groups = match.groupdict()
            path = groups.get("file") or ""
            function = groups.get("function") or _stem(path)
            if pattern is PYTHON:
                function = f"{_stem(path)}.{function}"
            foreign = FOREIGN_FILES.search(path) or FOREIGN_FILES.search(line)
            if foreign or FOREIGN.search(function) or MADE.search(function):
                return "", pattern is PYTHON
            for varying, steady in GENERATED:
                function = varying.sub(steady, function)
            return function.strip(".:"), pattern is PYTHON
    return None


def _stem(path: str) -> str:
    """``orders`` of ``/srv/app/orders.3f2a9c1b.js``: without folder, hash and suffix."""
    name = re.split(r"[\\/]", path)[-1]
    return re.sub(r"(?:[.-][0-9a-f]{6,})?(?:\.\w{1,5})?(?:\?.*)?$", "", name)


def _normal(message: str) -> str:
    for varying, steady in VARYING:
        message = varying.sub(steady, message)
    return message.strip(" .:;,")[:MESSAGE_MAX].rstrip()


def _codes(line: str) -> Iterator[str]:
    for match in CODES.finditer(line):
        groups = match.groupdict()
        if plain := groups["plain"]:
            yield f"code:{plain.lower() if plain[:2] in ('0x', '0X') else plain}"
        elif state := groups["state"] or groups["mark"]:
            yield f"code:SQLSTATE {state}"
        elif http := groups["http"] or groups["reason"]:
            yield f"code:HTTP {http}"
        elif mysql := groups["mysql"]:
            yield f"code:MySQL {mysql}"
