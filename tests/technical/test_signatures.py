"""Error signatures: the same crash has one wherever it happens, prose has none, and no text takes long."""

from __future__ import annotations

import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.technical.service.signatures import LENGTH_MAX, SIGNATURES_MAX, found
from tests.technical.crashes import CODES, DIFFERENT, PROSE, SAME

LARGEST = 64 * 1024
# What patterns that look back and forth would stumble over, repeated up to the largest description.
HOSTILE = {
    "names": "a.b",
    "a long word": "A",
    "camels": "Aa" * 240 + "\n",
    "frames that do not end": "at " + "a" * 400 + "\n",
    "short frames": "at a(\n",
    "files": '  File "' + "a" * 400 + "\n",
    "paths": "FooError: " + "/a" * 230 + "\n",
    "addresses": "FooError: " + "a@" * 230 + "\n",
    "digits and letters": "FooError: " + "a1" * 230 + "\n",
    "numbers": "FooError: " + "1-" * 230 + "\n",
    "modules": "a." * 230 + "dll\n",
    "packages": "a/" * 200 + "\n",
    "namespaces": "1: " + "a::" * 160 + "\n",
    "causes": "Caused by: " * 40 + "\n",
    "codes": "ERR_" + "A_" * 240 + "\n",
    "almost ids": "0123abcd-" * 55 + "\n",
    "almost ruby": "x.rb:1:in `" + "a" * 300 + "\n",
    "empty lines": "\n",
    "errors": "AError\n",
}


def traces(text: str) -> list[str]:
    return [each for each in found(text) if each.startswith("trace:")]


@pytest.mark.parametrize("name", SAME)
def test_the_same_crash_has_the_same_trace_on_another_machine_build_and_language(name):
    signature, here, there = SAME[name]
    assert signature in traces(here)
    assert traces(there) == traces(here)
    assert "@" in signature, "a trace with functions"


def test_different_crashes_share_no_trace():
    for one, other in combinations(SAME, 2):
        assert not set(traces(SAME[one][1])) & set(traces(SAME[other][1])), (one, other)


@pytest.mark.parametrize(("what", "one", "other"), DIFFERENT, ids=[each[0] for each in DIFFERENT])
def test_what_differs_in_the_application_differs(what, one, other):
    assert found(one)
    assert found(one) != found(other), what
    assert not set(traces(one)) & set(traces(other)), what


@pytest.mark.parametrize("text", CODES)
def test_a_published_code_is_found_as_its_maker_writes_it(text):
    assert [each for each in found(text) if each.startswith("code:")] == CODES[text]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_no_error(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "ValueError: bad row 17 in /srv/data/a.csv",
            "ValueError: bad row 2093 in C:\\data\\ada\\Downloads\\a.csv",
        ),
        (
            "ValueError: no user 4f1c9d2e-0b7a-4c55-9a01-7d1f00aa2b3c",
            "ValueError: no user 00000000-1111-2222-3333-444444444444",
        ),
        (
            "IOError: GET https://one.example.com/a?b=1 gave 7 bytes",
            "IOError: GET https://two.example.org/c gave 9 bytes",
        ),
        ("MailError: ada@example.com refused", "MailError: eve.smith+x@mail.example.org refused"),
        ("MapError: freed 0x7f00aa10", "MapError: freed 0x0012bb"),
        ("JobError: late since 2026-01-02T10:00:00Z", "JobError: late since 2025-11-30T23:59:59Z"),
    ],
)
def test_what_varies_in_a_message_does_not_count(one, other):
    assert found(one) == found(other)
    assert any(each.startswith("error:") for each in found(one))


@pytest.mark.parametrize("name", SAME)
def test_words_quotes_and_fences_around_a_crash_do_not_change_its_traces(name):
    _, here, _ = SAME[name]
    quoted = "".join(f"> {line}\n" for line in here.splitlines())
    for around in (
        f"Hello,\n\nsince Monday it stops like this:\n\n```\n{here}```\n\nKind regards\nAda, +49 30 1234\n",
        f"Am 3. März schrieb Eve:\n{quoted}\nCan you help? It has not worked for 3 days.",
        here.replace("\n", "\r\n"),
    ):
        assert traces(around) == traces(here)


def test_signatures_of_several_texts_come_once_sorted_and_traces_before_others():
    crash = SAME["python"][1]
    assert found(crash, crash) == found(crash) == sorted(found(crash))
    many = "\n".join(f"code ERR_NUMBER_{chr(65 + n)}X" for n in range(26))
    kept = found(f"{many}\n{crash}")
    assert len(kept) == SIGNATURES_MAX
    assert set(traces(crash)) <= set(kept)


PIECES = [*(line for _, one, _ in SAME.values() for line in one.splitlines()), *CODES, *PROSE]
ANYTHING = st.one_of(
    st.text(max_size=400),
    st.lists(st.sampled_from(PIECES), max_size=80).map("\n".join),
    st.text().map("at {}(".format),
)


@given(st.lists(ANYTHING, max_size=3))
def test_any_text_gives_a_few_short_storable_signatures_and_the_same_ones_again(texts):
    signatures = found(*texts)
    assert len(signatures) <= SIGNATURES_MAX
    assert all(0 < len(each) <= LENGTH_MAX and "\n" not in each for each in signatures)
    assert len(set(signatures)) == len(signatures)
    assert {each.partition(":")[0] for each in signatures} <= {"trace", "error", "code"}
    assert found(*texts) == signatures


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_no_faster_than_the_text(name):
    """Four times the text may take ten times the time, on a machine that others use as well; squared: 16."""
    small, large = (_seconds(HOSTILE[name], size) for size in (LARGEST // 4, LARGEST))
    assert large < 0.002 or large / small < 10


def _seconds(part: str, size: int) -> float:
    text = (part * (size // len(part) + 1))[:size]
    spent = []
    for _ in range(3):
        begun = time.thread_time()
        found(text)
        spent.append(time.thread_time() - begun)
    return min(spent)
