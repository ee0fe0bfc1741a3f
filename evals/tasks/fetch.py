"""Downloads the data of a task from its public home, checked against known hashes.

Owns which files a task needs, where they come from and their SHA-256. Nothing is put in place before
all files of a task are there and right.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from preceptor.core.errors import TaskError, boundary

DATA_DIR = Path.home() / ".cache" / "preceptor" / "data"
"""Where data go unless a folder is given."""


@dataclass(frozen=True)
class Download:
    """The files of one data set.

    Attributes:
        base: The URL that each path is put behind.
        files: SHA-256 (hexadecimal) by path.
        licence: Shown when it is fetched.
        folder: What their folder is called; the data set's name if empty.
    """

    base: str
    files: dict[str, str]
    licence: str
    folder: str = ""


DOWNLOADS: dict[str, Download] = {
    "psytar": Download(
        base="https://raw.githubusercontent.com/basaldella/psytarpreprocessor/"
        "dce7fd9fc91930dd9de0f4793529d5695a10e681/data/",
        files={
            "binary/train.csv": "76d266db22c731d1771db46bea846ed10ade5c82d8b6fdd9a968190c7889df6a",
            "binary/dev.csv": "90f01cb2047f72434717e419f18d44f8c668c9d032fe3c7bd6d5027f2995b561",
            "binary/test.csv": "def357d86ec1541e2e3108df7dcb402ec92f7a5fb7d60ac35111bc8a04f386ed",
        },
        licence="CC BY 4.0 (Zolnoori et al. 2019)",
    ),
    "phee": Download(
        base="https://raw.githubusercontent.com/ZhaoyueSun/phee-with-chatgpt/"
        "a90c680b08464e731635eb2d2f2c49be6ad5e3e5/data/datasets/phee2/source/",
        files={
            "train.json": "381210851bfc8ac7e34eeba1e134bb4b9be595f29806eb687c42b7623f536ace",
            "dev.json": "3fef1a8efe87bf144c6eca2ede1e5ade5c6d77444477924483d22f955385375f",
            "test.json": "230bca8c6164d40c54b5e7b7eb9f7eb560da94b27229d940cbc516f157aba4e8",
        },
        licence="MIT (Sun et al. 2022)",
        folder="phee_v2",
    ),
}


def fetch(
    name: str,
    folder: Path = DATA_DIR,
    download: Download | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Download a data set and return its folder; what is there and right is not asked for again.

    Args:
        name: Which one.
        folder: Where the data set's own folder is put.
        download: The files, if not the known ones.
        say: Called with one line per file.

    Raises:
        TaskError: If there is no such data set, no network, or a file is not what it should be.
    """
    known = download or DOWNLOADS.get(name)
    if known is None:
        raise TaskError(f"no data to fetch for {name!r}", f"known: {', '.join(DOWNLOADS)}")
    target = folder / (known.folder or name)
    missing = {path: want for path, want in known.files.items() if _hash(target / path) != want}
    if not missing:
        say(f"{target}: already there")
        return target
    with boundary(TaskError, f"{target}: cannot be written", "give another folder"):
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as place:
            for number, (path, want) in enumerate(missing.items()):
                (Path(place) / str(number)).write_bytes(_get(known.base + path, want))
                say(f"{path}: {want[:12]} ok")
            for number, path in enumerate(missing):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(place) / str(number)).replace(target / path)
    return target


def place(name: str, data_dir: Path | None = None) -> Path:
    """Return the folder of a data set's files.

    Raises:
        TaskError: If one of them is not there.
    """
    known = DOWNLOADS[name]
    folder = (data_dir or DATA_DIR) / (known.folder or name)
    missing = [path for path in known.files if not (folder / path).is_file()]
    if missing:
        raise TaskError(
            f"task {name!r}: no {missing[0]} in {folder}",
            f"run: preceptor tasks fetch {name} (or give the folder that holds {folder.name}/)",
        )
    return folder


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _get(url: str, want: str) -> bytes:
    import httpx  # only a download needs it

    with boundary(
        TaskError, f"{url}: cannot be fetched", "check the network, or copy the files by hand"
    ):
        answer = httpx.get(url, follow_redirects=True, timeout=30)
        answer.raise_for_status()
        body = answer.content
    if hashlib.sha256(body).hexdigest() != want:
        raise TaskError(
            f"{url}: not the file it should be (SHA-256 differs)", "try again, or report it"
        )
    return body
