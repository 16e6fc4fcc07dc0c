"""Chunks hold the whole text once, in order, within the limit, and change only where the text does."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.parsing.blocks import Block, BlockKind, Parsed
from app.rag.chunking import Chunk, Limits, chunk
from app.rag.tokens import TiktokenTokenizer, Tokenizer
from tests.rag.test_tokens import FAMILY, wordpiece

CL100K = TiktokenTokenizer("cl100k_base")
WORDPIECE = wordpiece()
Part = tuple[BlockKind, str] | tuple[BlockKind, str, int]
WORDS = [
    "refund",
    "plan",
    "invoice",
    "payment",
    "customer",
    "limit",
    "error",
    "code",
    "window",
    "agent",
    "days",
]
DEFAULT = Limits()


def heading(text: str, level: int = 2) -> Part:
    return BlockKind.HEADING, text, level


def paragraph(text: str) -> Part:
    return BlockKind.PARAGRAPH, text


def prose(tokens: int, seed: object = 0) -> str:
    """Sentences of about that many tokens; equal seeds give equal text."""
    chosen = random.Random(str(seed))
    sentences = []
    while sum(map(len, sentences)) < tokens * 6:
        sentences.append(" ".join(chosen.choices(WORDS, k=chosen.randint(6, 14))).capitalize() + ".")
    return " ".join(sentences)


def document(parts: Iterable[Part], *, title: str | None = None) -> Parsed:
    """Blocks with a blank line between them, as the parsers make them."""
    text, blocks = "", []
    for kind, body, *level in parts:
        text += "\n\n" if blocks else ""
        blocks.append(Block(kind, len(text), len(text) + len(body), level[0] if level else 0))
        text += body
    return Parsed(title=title, text=text, blocks=tuple(blocks), media_type="text/markdown")


def cut(
    parts: Iterable[Part],
    *,
    title: str | None = "Guide",
    tokenizer: Tokenizer = CL100K,
    limits: Limits = DEFAULT,
) -> list[Chunk]:
    parsed = document(parts, title=title)
    chunks = chunk(parsed, title=parsed.title, tokenizer=tokenizer, limits=limits)
    check(parsed, chunks, tokenizer=tokenizer, limits=limits)
    return chunks


def check(parsed: Parsed, chunks: Sequence[Chunk], *, tokenizer: Tokenizer, limits: Limits) -> None:
    """What holds for every document."""
    at = 0
    for ordinal, each in enumerate(chunks):
        assert each.ordinal == ordinal
        assert at <= each.start < each.end
        assert parsed.text[at : each.start].strip() == "", "text between two chunks was lost"
        assert each.text == parsed.text[each.start : each.end]
        assert each.text.strip()
        assert tokenizer.count(each.embedding_text) <= limits.maximum
        assert tokenizer.count(each.header) <= limits.maximum // 4
        assert each.embedding_text == (f"{each.header}\n{each.text}" if each.header else each.text)
        at = each.end
    assert parsed.text[at:].strip() == "", "the end of the text was lost"


# Hostile characters, ordinary words, and separators of every level.
fragments = st.one_of(
    st.sampled_from(
        [*WORDS, "I.", "e.g.", "v2.1", "<|endoftext|>", "[SEP]", "x" * 150, "漢字仮名交じり。", FAMILY * 9]
    ),
    st.sampled_from(
        ["\u0301" * 40, "\x00", "\ud800", "\u202e", "مرحبا", "a|b", "- ", "1. ", "! ", "... ", "\t", "  "]
    ),
    st.text(st.characters(exclude_categories=[]), max_size=30),
)
bodies = st.lists(fragments, min_size=1, max_size=60).map(" ".join)
lines = st.lists(bodies, min_size=1, max_size=8).map("\n".join)
kinds = st.sampled_from([kind for kind in BlockKind if kind is not BlockKind.HEADING])
parts_of_documents = st.lists(
    st.one_of(
        st.tuples(st.just(BlockKind.HEADING), bodies, st.integers(1, 6)),
        st.tuples(kinds, st.one_of(bodies, lines)),
        st.tuples(
            kinds, st.tuples(lines, st.integers(1, 30)).map(lambda pair: "\n".join([pair[0]] * pair[1]))
        ),
    ),
    max_size=14,
)
sizes = st.tuples(st.integers(16, 420), st.integers(1, 100)).map(
    lambda pair: Limits(target=max(1, pair[0] * pair[1] // 100), maximum=pair[0])
)


@pytest.mark.parametrize("tokenizer", [CL100K, WORDPIECE], ids=["cl100k_base", "wordpiece"])
@given(parts=parts_of_documents, limits=sizes, title=st.none() | bodies, product=st.none() | bodies)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_document_is_held_once_in_order_and_within_the_limit(
    tokenizer: Tokenizer, parts: list[Part], limits: Limits, title: str | None, product: str | None
) -> None:
    parsed = document(parts)

    def run() -> list[Chunk]:
        return chunk(parsed, title=title, tokenizer=tokenizer, limits=limits, product=product)

    chunks = run()
    check(parsed, chunks, tokenizer=tokenizer, limits=limits)
    assert run() == chunks, "the same input gave other chunks"
    identities = {each.hash: (each.header, each.text) for each in chunks}
    assert all(identities[each.hash] == (each.header, each.text) for each in chunks)
    assert len(identities) == len(set(identities.values())), "equal chunks have different hashes"


def test_a_long_word_that_was_one_token_and_apart_is_many_is_cut_until_it_fits() -> None:
    """WordPiece gives one token to a word beyond 100 characters, and dozens to a part of it."""
    words = f"refund invoice {'x' * 150}"
    chunks = cut([heading(words, 1)], title=None, tokenizer=WORDPIECE, limits=Limits(target=1, maximum=16))
    assert "".join(each.text for each in chunks).replace(" ", "") == words.replace(" ", "")


def test_no_text_gives_no_chunks() -> None:
    assert cut([]) == []
    blank = Parsed(title=None, text=" \n ", blocks=(Block(BlockKind.CODE, 0, 3),), media_type="text/plain")
    assert chunk(blank, title="T", tokenizer=CL100K, limits=Limits()) == []


@pytest.mark.parametrize(("target", "maximum"), [(0, 100), (101, 100), (8, 15)])
def test_impossible_limits_are_refused(target: int, maximum: int) -> None:
    with pytest.raises(ValueError, match="chunk limits"):
        Limits(target=target, maximum=maximum)


def test_the_header_names_title_headings_product_and_version() -> None:
    parsed = document([heading("Refunds", 1), heading("Limits", 2), paragraph(prose(50))], title="Guide")
    (only,) = chunk(parsed, title="Guide", tokenizer=CL100K, limits=Limits(), product="Desk", version="2.1")
    assert only.header == "Guide > Refunds > Limits | Desk | 2.1"
    assert only.heading_path == ("Refunds", "Limits")
    assert only.text.startswith("Refunds\n\nLimits\n\n")


def test_the_title_is_not_repeated_when_the_first_heading_equals_it() -> None:
    (only,) = cut([heading("guide", 1), paragraph(prose(50))], title="Guide")
    assert only.header == "guide"
    assert only.heading_path == ("guide",)


def test_without_title_and_headings_there_is_no_header() -> None:
    (only,) = cut([paragraph(prose(50))], title=None)
    assert only.header == ""
    assert only.embedding_text == only.text


def test_a_long_header_loses_its_middle_first_and_keeps_both_ends() -> None:
    path = [heading(f"Level {level} {prose(12, level)}", level) for level in range(1, 6)]
    chunks = cut([*path, paragraph(prose(100))], title="Guide", limits=Limits(target=150, maximum=200))
    assert chunks[-1].header.startswith("Guide > ")
    assert " … > Level 5" in chunks[-1].header
    assert "Level 3" not in chunks[-1].header
    assert len(chunks[-1].heading_path) == 5


def test_the_hash_is_of_header_and_text_with_an_unambiguous_border() -> None:
    body = paragraph("b c")
    one, other = cut([body], title="a"), cut([paragraph("c")], title="a b")
    assert one[0].hash != other[0].hash
    assert one[0].hash == cut([body], title="a")[0].hash
    assert one[0].hash == hashlib.sha256(b"1\nab c").hexdigest()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (BlockKind.LIST, "\n".join(f"- {prose(14, n)}" for n in range(12))),
        (BlockKind.TABLE, "\n".join(f"| row {n} | {prose(10, n)} |" for n in range(12))),
        (BlockKind.CODE, "\n\n".join(f"def f{n}():\n    return {n}" for n in range(22))),
        (BlockKind.QUESTION_ANSWER, f"Why?\n{prose(230)}"),
    ],
)
def test_what_belongs_together_stays_whole_while_it_fits(kind: BlockKind, body: str) -> None:
    assert 180 < CL100K.count(body) < 380
    chunks = cut([heading("S"), paragraph(prose(170, "a")), (kind, body), paragraph(prose(170, "b"))])
    assert sum(body in each.text for each in chunks) == 1


@pytest.mark.parametrize(
    ("kind", "line", "shape"),
    [
        (BlockKind.LIST, lambda n: f"- {prose(14, n)}\n  - {prose(5, n)}", r"- (?s:.)*\."),
        (BlockKind.TABLE, lambda n: f"| row {n} | {prose(10, n)} |", r"\| row (?s:.)*\|"),
        (BlockKind.CODE, lambda n: f"    call_{n}({n})", r"    call(?s:.)*\)"),
        (BlockKind.PARAGRAPH, lambda n: prose(14, n), r"[A-Z](?s:.)*\."),
        (BlockKind.QUOTE, lambda n: prose(14, n), r"[A-Z](?s:.)*\."),
    ],
)
def test_what_is_too_long_is_cut_at_its_own_joints(kind: BlockKind, line, shape: str) -> None:
    separator = " " if kind in {BlockKind.PARAGRAPH, BlockKind.QUOTE} else "\n"
    body = separator.join(line(n) for n in range(150))
    chunks = cut([(kind, body)])
    assert len(chunks) > 3
    assert all(re.fullmatch(shape, each.text) for each in chunks)


def test_the_continuation_of_a_table_names_its_columns() -> None:
    rows = "\n".join(f"| {prose(8, n)} | {n} EUR |" for n in range(60))
    first, *others = cut([heading("Prices"), (BlockKind.TABLE, f"| Plan | Price |\n{rows}")])
    assert first.header == "Guide > Prices"
    assert others
    assert {each.header for each in others} == {"Guide > Prices | Plan | Price"}
    assert all("Plan | Price" not in each.text for each in others)


def test_no_chunk_is_only_a_heading_when_there_is_text() -> None:
    for size in range(300, 420, 7):
        chunks = cut(
            [heading("A very important heading"), (BlockKind.TABLE, f"| {prose(size)} |"), heading("End")]
        )
        assert all(each.text not in {"A very important heading", "End"} for each in chunks)


def test_a_document_of_headings_alone_is_still_held() -> None:
    chunks = cut([heading("One", 1), heading("Two", 2), heading("Three", 1)])
    assert [each.text for each in chunks] == ["One\n\nTwo\n\nThree"]


def test_a_line_that_introduces_a_list_stays_with_it() -> None:
    parts: list[Part] = []
    for number in range(60):
        items = "\n".join(f"- {prose(8, (number, n))}" for n in range(3))
        parts += [
            paragraph(prose(40, number)),
            paragraph(f"The limits {number} are:"),
            (BlockKind.LIST, items),
        ]
    chunks = cut(parts)
    assert len(chunks) > 10
    assert not any(each.text.endswith("are:") for each in chunks)


def test_a_tiny_section_between_large_ones_is_no_chunk_of_its_own() -> None:
    large = [[heading(f"L{n}"), paragraph(prose(200, n))] for n in range(2)]
    chunks = cut([heading("Top", 1), *large[0], heading("Tiny"), paragraph("See above."), *large[1]])
    assert len(chunks) == 2
    assert chunks[1].heading_path == ("Top",)
    assert chunks[1].text.startswith("Tiny\n\nSee above.\n\nL1")


def test_small_blocks_are_packed_to_about_the_target() -> None:
    chunks = cut([heading("S"), *(paragraph(prose(20, n)) for n in range(60))])
    assert all(128 <= each.tokens <= 330 for each in chunks[:-1])


def test_small_sections_share_a_chunk_under_their_parent_and_large_ones_do_not() -> None:
    small = [[heading(f"S{n}"), paragraph(prose(25, n))] for n in range(4)]
    large = [heading("Large"), paragraph(prose(200, "large"))]
    chunks = cut([heading("Top", 1), *itertools.chain(*small), *large])
    assert [each.heading_path for each in chunks] == [("Top",), ("Top", "Large")]
    assert all(f"S{n}\n\n" in chunks[0].text for n in range(4))


def test_sections_of_different_parents_are_never_mixed() -> None:
    parts = []
    for top in range(6):
        parts += [heading(f"Top {top}", 1), paragraph(prose(90, top))]
        parts += [
            part for n in range(3) for part in (heading(f"Sub {top}{n}"), paragraph(prose(40, (top, n))))
        ]
    for each in cut(parts):
        assert sum(f"Top {top}" in each.text for top in range(6)) <= 1


def test_editing_a_paragraph_changes_only_its_own_section() -> None:
    def sections(edited: str = "") -> list[Part]:
        parts = []
        for number in range(12):
            parts.append(heading(f"Section {number}"))
            parts += [paragraph(prose(60, (number, n)) + (edited if number == 5 else "")) for n in range(9)]
        return parts

    before, after = cut(sections()), cut(sections(" One more sentence."))
    kept = {each.hash for each in after}
    changed = {each.heading_path for each in before if each.hash not in kept}
    assert changed == {("Section 5",)}


@pytest.mark.parametrize("kind", ["paragraphs", "sections", "rows", "sentences"])
def test_an_insertion_at_the_top_leaves_the_boundaries_below(kind: str) -> None:
    """Also where no section ends: text without headings, many small sections, one long table or paragraph."""

    def parts(count: int) -> list[Part]:
        numbers = [*range(1000, 1000 + count), *range(200)]
        if kind == "paragraphs":
            return [paragraph(prose(20 + n % 17, n)) for n in numbers]
        if kind == "sections":
            return [
                part for n in numbers for part in (heading(f"Part {n}"), paragraph(prose(20 + n % 17, n)))
            ]
        if kind == "rows":
            return [
                (
                    BlockKind.TABLE,
                    "\n".join(["| a | b |", *(f"| {n} | {prose(15 + n % 9, n)} |" for n in numbers)]),
                )
            ]
        return [paragraph(" ".join(prose(15 + n % 9, n) for n in numbers))]

    before = cut(parts(0))
    for inserted in (1, 2, 3, 5):
        kept = {each.hash for each in cut(parts(inserted))}
        lost = [each.ordinal for each in before if each.hash not in kept]
        assert max(lost, default=0) < len(before) // 3, (inserted, lost, len(before))


@pytest.mark.parametrize("tokenizer", [CL100K, WORDPIECE], ids=["cl100k_base", "wordpiece"])
@pytest.mark.parametrize("unit", ["a", "漢字", FAMILY, "\u0301", "x1-", "שלום"], ids=ascii)
def test_a_word_without_end_is_cut_and_bounded_in_characters_too(tokenizer: Tokenizer, unit: str) -> None:
    """A model's unknown word is one token however long it is: it must not become one chunk of megabytes."""
    limits = Limits(target=200, maximum=254)
    chunks = cut([heading("S"), paragraph(unit * (100_000 // len(unit)))], tokenizer=tokenizer, limits=limits)
    assert max(len(each.text) for each in chunks) <= 32 * limits.maximum


def test_an_emoji_is_not_torn_apart() -> None:
    chunks = cut([paragraph(FAMILY * 3_000)])
    assert len(chunks) > 50
    assert all(each.text.replace(FAMILY, "") == "" for each in chunks)


def test_a_heading_of_a_megabyte_is_not_repeated_in_every_chunk() -> None:
    chunks = cut([heading("word " * 200_000), *(paragraph(prose(100, n)) for n in range(20))])
    assert all(len(part) <= 300 for each in chunks for part in each.heading_path)
    assert chunks[-1].tokens <= 400


def test_tokens_are_within_a_few_of_the_real_count_and_exact_near_the_limit() -> None:
    chunks = cut([heading("S", 1), *(paragraph(prose(n * 5 % 390 + 5, n)) for n in range(150))])
    for each in chunks:
        real = CL100K.count(each.embedding_text)
        assert abs(each.tokens - real) <= (8 if each.tokens <= 400 - 16 else 0)


def test_two_documents_are_cut_at_the_same_time_as_one_after_the_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    parts = [[heading("S"), *(paragraph(prose(30, (d, n))) for n in range(40))] for d in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(cut, parts)) == [cut(each) for each in parts]
