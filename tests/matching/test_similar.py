"""What is found: the near ones first, with the reasons, and nothing that the reader may not see."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app import matching
from app.exceptions import UnavailableError
from app.matching.constants import LIMIT_MAX
from app.matching.models import Matchable
from app.matching.service import comparing, questions
from tests.matching.conftest import NOW, titled

TEXTS = [
    ("Printer jams", "Paper is stuck on page two of every invoice."),
    ("Paper stuck in printer", "Each page after the first one jams."),
    ("Login loops", "After the password I am back at the login page."),
    ("Invoice total is wrong", "The total of invoice INV_2044 has no tax."),
    ("Dark mode", "Please add a dark theme."),
]


async def fill(shelf, **fields):
    return await shelf.add_all([shelf.entry(title, body, **fields) for title, body in TEXTS])


async def test_the_likest_comes_first_and_says_why(shelf):
    subjects = await fill(shelf)
    found = await shelf.similar("The printer is jamming", "stuck paper")
    assert titled(found)[:2] in ([subjects[0].id, subjects[1].id], [subjects[1].id, subjects[0].id])
    assert set(found[0].terms) >= {"printer", "jamming", "stuck", "paper"}
    assert found[0].subject.type == shelf.kind
    assert found[0].created_at == NOW
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert 0 < found[0].share <= 1
    assert found[0].probability > found[-1].probability


async def test_a_thing_is_compared_by_its_id_and_does_not_find_itself(shelf):
    subjects = await fill(shelf)
    by_id = await shelf.similar(subject=subjects[0])
    assert subjects[0].id not in titled(by_id)
    assert by_id[0].id == subjects[1].id
    by_text = await shelf.similar(*TEXTS[0], exclude=[subjects[0].id])
    assert titled(by_text) == titled(by_id)
    assert (
        await shelf.similar(subject=type(subjects[0])(shelf.kind, "00000000-0000-7000-8000-000000000000"))
        == []
    )


async def test_a_thing_that_waits_for_its_vector_is_compared_by_meaning_nevertheless(shelf):
    await fill(shelf)
    new = await shelf.add("Printer jams again", embed=False)
    assert (await shelf.similar(subject=new))[0].cosine is not None


async def test_a_new_duplicate_without_a_vector_comes_before_what_shares_a_word(shelf):
    await shelf.add("printer invoice theme login")
    await shelf.add_all([shelf.entry(f"something else {n}") for n in range(5)])
    new = await shelf.add("printer jams every page", embed=False)
    assert (await shelf.similar("printer jams every page"))[0].id == new.id


async def test_a_thing_does_not_count_among_what_it_is_compared_with(shelf):
    bodies = ["apple pear plum", "apple fig lime", "pear kiwi lime", "melon grape fig"]
    subjects = await shelf.add_all([shelf.entry("", each) for each in bodies])
    by_id = await shelf.similar(subject=subjects[0])
    async with shelf.database.session() as session:
        await matching.remove(session, subjects[0])
    by_text = await shelf.similar("", bodies[0])
    assert {each.id: each.bm25 for each in by_id} == pytest.approx({each.id: each.bm25 for each in by_text})
    assert {each.id: each.share for each in by_id} == pytest.approx({each.id: each.share for each in by_text})


async def test_without_a_model_words_must_do(shelf, caplog):
    subjects = await fill(shelf)
    shelf.embeds.failure = lambda _: UnavailableError("away")
    found = await shelf.similar("printer jams")
    assert titled(found)[0] == subjects[0].id
    assert all(each.cosine is None and each.rank_dense is None for each in found)
    assert all(0 <= each.probability <= 1 for each in found)
    assert "words alone" in caplog.text
    assert "printer" not in caplog.text


async def test_a_model_that_hangs_is_not_waited_for(shelf, monkeypatch):
    await fill(shelf)
    monkeypatch.setattr(questions, "QUERY_SECONDS", 0.05)

    async def hang(_):
        await asyncio.Event().wait()

    shelf.embeds.embed_query = hang
    assert (await shelf.similar("printer jams"))[0].cosine is None


async def test_the_same_error_finds_its_siblings_whatever_they_say(shelf):
    await fill(shelf)
    sibling = await shelf.add("Cannot work today", signatures=["KeyError@app.py:load", "E_500"])
    found = await shelf.similar("Quite other words", signatures=["KeyError@app.py:load", "E_404"])
    assert found[0].id == sibling.id
    assert found[0].same_signatures == ("KeyError@app.py:load",)
    other = await shelf.add("Something else", signatures=["E_500"])
    assert (await shelf.similar(subject=other))[0].id == sibling.id
    assert not any(each.same_signatures for each in await shelf.similar("x", signatures=["E_40"]))


async def test_a_signature_does_not_reach_beyond_the_readers_audience(shelf):
    await shelf.add("Cannot work", signatures=["E_500"])
    assert await shelf.similar("x", signatures=["E_500"], audiences=["public"]) == []


async def test_within_is_a_statement_of_any_kind(shelf):
    subjects = await fill(shelf)
    within = select(Matchable.id).where(
        Matchable.subject_type == shelf.kind, Matchable.title.in_(["Printer jams"])
    )
    for found in (
        await shelf.similar("printer", within=within),
        await shelf.search("printer", within=within),
    ):
        assert titled(found) == [subjects[0].id]
    limited = select(Matchable.id).where(Matchable.subject_type == shelf.kind).order_by(Matchable.id).limit(2)
    assert len(await shelf.similar("printer", within=limited)) == 2
    assert await shelf.similar("printer", within=within.where(Matchable.title == "none")) == []


@pytest.mark.parametrize("few", [0, 3_000])
async def test_many_and_few_visible_things_are_searched_alike(shelf, few, monkeypatch):
    monkeypatch.setattr(comparing, "NARROW", few)
    subjects = await fill(shelf, audience=["staff", "account:a"])
    await fill(shelf, audience=["staff", "account:b"])
    found = await shelf.similar("printer jams", "stuck paper", audiences=["account:a"])
    assert set(titled(found)) == {each.id for each in subjects}
    assert found[0].bm25 > 0
    assert found[0].rank_dense == 1


async def test_the_index_of_vectors_finds_what_comparing_all_finds(shelf, monkeypatch):
    await shelf.add_all([shelf.entry(f"word{n} word{n + 1} word{n + 2}") for n in range(150)])
    exact = await shelf.similar("word40 word41 word42", limit=20)
    monkeypatch.setattr(comparing, "EXACT_UNTIL", -1)
    approximate = await shelf.similar("word40 word41 word42", limit=20)
    assert titled(approximate)[:5] == titled(exact)[:5]


async def test_several_kinds_are_searched_at_once(shelf):
    ticket = await shelf.add("printer jams")
    issue = await shelf.add("printer jams", kind=f"{shelf.kind}-issue")
    assert set(titled(await shelf.similar("printer", types=[shelf.kind, f"{shelf.kind}-issue"]))) == {
        ticket.id,
        issue.id,
    }
    assert titled(await shelf.similar(subject=ticket, types=[f"{shelf.kind}-issue"])) == [issue.id]


async def test_a_report_of_thousands_of_words_is_bounded_work(shelf):
    subjects = await fill(shelf)
    noise = " ".join(f"0x{n:06x}" for n in range(2_000))
    started = time.perf_counter()
    found = await shelf.similar("Printer jams", f"Paper is stuck on page two. {noise}")
    assert found[0].id == subjects[0].id
    assert "jams" in found[0].terms
    assert time.perf_counter() - started < 3


async def test_no_text_and_no_signature_is_like_nothing(shelf):
    await fill(shelf)
    assert await shelf.similar("", "  \n") == []
    assert await shelf.search("   ") == []
    assert await shelf.search("\0") == []


HOSTILE = st.text(alphabet=st.sampled_from("'\\|&!:*()<->\0\ud800é漢 ab-_./%{}$\n"), max_size=30)


@given(title=HOSTILE, body=HOSTILE)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_text_breaks_a_comparison(shelf, title, body):
    await shelf.similar(title, body, signatures=[title])
    await shelf.search(title + body)


ARMS = ["narrow", "exact", "hnsw"]
AUDIENCES = st.lists(
    st.sampled_from(["public", "account:a", "account:b", "person:p"]), max_size=3, unique=True
)


@pytest.mark.parametrize(("narrow", "exact"), [(3_000, 12_000), (-1, 12_000), (-1, -1)], ids=ARMS)
@given(reader=AUDIENCES, holders=st.lists(AUDIENCES, min_size=1, max_size=6))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_reader_finds_exactly_what_shares_a_token_with_them(shelf, narrow, exact, reader, holders):
    await shelf.clear()
    entries = [
        shelf.entry("printer jams", "stuck", audience=["staff", *each], signatures=["E"]) for each in holders
    ]
    other = shelf.entry("printer", kind=f"{shelf.kind}-other", audience=["staff", *reader], signatures=["E"])
    hidden = shelf.entry("printer", audience=["staff", *reader], signatures=["E"])
    await shelf.add_all([*entries, other, hidden])
    seen = {e.subject.id for e, each in zip(entries, holders, strict=True) if set(each) & set(reader)}
    options = {"exclude": [hidden.subject.id]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "NARROW", narrow)
        patch.setattr(comparing, "EXACT_UNTIL", exact)
        similar = await shelf.similar("printer", signatures=["E"], audiences=reader, **options)
        assert set(titled(similar)) == seen
        assert all(each.rank_dense for each in similar)
        assert set(titled(await shelf.search("printer", audiences=reader, **options))) == seen
        assert len(await shelf.similar("printer", **options)) == len(entries)


class TestSearch:
    """What a list's search finds."""

    async def test_things_with_all_of_the_words_come_first(self, shelf):
        await fill(shelf)
        both = await shelf.add("Zebra", "printing of striped pages is slow; " * 20 + "paper")
        found = await shelf.search("zebra paper")
        assert found[0].id == both.id
        assert found[0].coverage == 1

    async def test_the_last_word_may_be_a_beginning(self, shelf):
        await fill(shelf)
        wanted = await shelf.add("Quetzalcoatl feathers")
        assert titled(await shelf.search("quetz"))[:1] == [wanted.id]
        assert titled(await shelf.search("feathers quetz"))[:1] == [wanted.id]
        assert titled(await shelf.search("Quetzalcoatl"))[:1] == [wanted.id]
        assert wanted.id not in titled(await shelf.search("quetz "))

    async def test_what_has_nothing_to_do_with_it_is_not_listed(self, shelf):
        await fill(shelf)
        assert await shelf.search("helicopter") == []

    async def test_codes_are_found_in_each_spelling(self, shelf):
        subjects = await fill(shelf)
        for spelling in ("INV_2044", "inv 2044", "INV2044"):
            assert titled(await shelf.search(spelling))[:1] == [subjects[3].id]

    async def test_a_list_is_bounded(self, shelf):
        await shelf.add_all([shelf.entry("printer") for _ in range(LIMIT_MAX + 5)], embed=False)
        assert len(await shelf.search("printer", limit=10_000)) == LIMIT_MAX
        assert len(await shelf.search("printer", limit=7)) == 7
