"""From a model's folder to one GGUF file, by llama.cpp's own converter.

Owns where the converter is found and what its trouble means. It is called, not rewritten: it comes in
the source archive of llama-cpp-python, or in a checkout of llama.cpp, which the setting ``llama_cpp``
names. Whether the file answers as it should is decided elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from preceptor.core import child
from preceptor.core.errors import InputError, StoreError
from preceptor.tools.sft import base

SIXTEEN = ("f16", "bf16")
TYPES = ("f32", *SIXTEEN, "q8_0")
"""What the converter can make of the weights. f32 holds those of any model as they are."""

PACKAGES = ("torch", "transformers", "gguf", "xllamacpp")
SCRIPT = "convert_hf_to_gguf.py"
FETCH = "pip download --no-deps --no-binary llama-cpp-python llama-cpp-python==0.3.36"
HINT = f"get it: {FETCH}; then set llama_cpp (PRECEPTOR_LLAMA_CPP) to the archive"
_WANTED = (f"/{SCRIPT}", "/conversion/", "/gguf-py/gguf/")

_ROOM = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 1.1}
"""Bytes per weight, at most."""


def check(named: Path | None, kind: str) -> None:
    """Refuse to begin what could not be finished.

    Args:
        named: Where the converter is.
        kind: What is made of the weights.

    Raises:
        InputError: If packages or the converter are missing, or the kind is none.
    """
    if kind not in TYPES:
        raise InputError(
            f"llama.cpp's converter makes no {kind!r}", "say --quantize with " + ", ".join(TYPES)
        )
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"GGUF needs more packages: {', '.join(missing)}", "pip install 'preceptor[local,gguf]'"
        )
    if named is None:
        raise InputError("it is not known where llama.cpp's converter is", HINT)
    if not named.exists():
        raise InputError(f"llama.cpp's converter is not in {str(named)!r}: there is no such file", HINT)


def convert(model: Path, out: Path, kind: str, named: Path | None) -> None:
    """Write the GGUF file of a model.

    Args:
        model: The folder of its weights, configuration and tokenizer.
        out: The file; nothing is left of it if it cannot be written.
        kind: One of ``TYPES``.
        named: The source archive, or the folder that the converter is in.

    Raises:
        InputError: If something is missing, or the converter does not take the model.
        StoreError: If the disk has no room for the file.
    """
    check(named, kind)
    assert named is not None
    _check_room(model, out, kind)
    with converter(named) as folder:
        command = [sys.executable, "-P", "-m", "preceptor.tools.sft.converter"]
        done = subprocess.run(
            [*command, *map(str, (folder.absolute(), model.absolute(), out.absolute())), kind],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child.environ(HF_HUB_OFFLINE="1"),
            check=False,
        )
    if done.returncode != 0 or not out.is_file():
        out.unlink(missing_ok=True)
        ended = f"by signal {-done.returncode}" if done.returncode < 0 else "without a word"
        why = child.last_line(done.stderr) or f"it ended {ended}"
        raise InputError(
            f"llama.cpp's converter cannot convert the model: {why}", "it may need a newer llama.cpp"
        )


@contextmanager
def converter(named: Path) -> Iterator[Path]:
    """Give the folder of the converter: the one that was named, or what an archive holds of it.

    Raises:
        InputError: If there is none.
    """
    with tempfile.TemporaryDirectory(prefix="preceptor-llama-cpp-") as scratch:
        place = named
        if named.is_file():
            place = Path(scratch)
            try:
                with tarfile.open(named) as archive:
                    members = [m for m in archive if any(w in m.name for w in _WANTED)]
                    archive.extractall(place, members=members, filter="data")
            except (tarfile.TarError, OSError, EOFError) as cause:
                raise InputError(f"{str(named)!r} is no source archive", HINT) from cause
        found = next((f.parent for f in _scripts(place) if (f.parent / "conversion").is_dir()), None)
        if found is None:
            raise InputError(f"llama.cpp's converter is not in {str(named)!r}", HINT)
        yield found


def _scripts(place: Path) -> Iterator[Path]:
    yield from (f for f in (place / SCRIPT, place / "vendor" / "llama.cpp" / SCRIPT) if f.is_file())
    yield from sorted(place.glob(f"*/vendor/llama.cpp/{SCRIPT}"))


def _check_room(model: Path, out: Path, kind: str) -> None:
    # Weights are stored in two bytes or four: two is the guess that needs the most room.
    needed = int(base.model_bytes(model) / 2 * _ROOM[kind]) + 2**24
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise StoreError(
            f"{needed // 2**20 + 1} MiB of disk are needed, {free // 2**20} are free", "make room"
        )
