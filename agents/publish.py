"""Putting a model on an Ollama server: blobs by content, then ``create``.

Owns what is sent and what each trouble means. What the model is made of, and whether it answers as it
should, is decided elsewhere. Nothing is sent twice: a file that the server has is not uploaded.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from preceptor.core import ollama_names
from preceptor.core.errors import StudentError
from preceptor.core.record import DIGEST_CHARS
from preceptor.core.settings import check_url

Say = Callable[[str], None]
"""Hears what is being done, a line at a time."""

TIMEOUT = 600.0
"""Seconds without a word from the server."""


@dataclass(frozen=True)
class Model:
    """What is created.

    Attributes:
        name: How the server will call it.
        files: Its safetensors, configuration and tokenizer, by the name that each has there.
        template: In Go's template language.
        system: The system message, if a request brings none.
        parameters: As in a Modelfile.
        quantize: To what, e.g. ``q8_0``; empty: as it is.
        source: A model of the server's that it is made from, in place of files.
        adapters: The files of an adapter for that model, by the name that each has there.
    """

    name: str
    files: Mapping[str, Path]
    template: str
    system: str = ""
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    quantize: str = ""
    source: str = ""
    adapters: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What a server says of a model.

    Attributes:
        level: How its weights are stored (``F16``, ``Q4_K_M``); empty if it is not told.
        architecture: As GGUF names it (``llama``); empty if it is not told.
        form: The format of its weights, ``gguf``; empty if it is not told.
        blob: The SHA-256 of the file of its weights; empty if it is not told.
        file: Where that file lies on the server's machine; empty if it is not told.
        adapted: Whether it is a base with an adapter on it.
    """

    level: str = ""
    architecture: str = ""
    form: str = ""
    blob: str = ""
    file: str = ""
    adapted: bool = False


_FROM = re.compile(r"^FROM\s+(\S.*sha256-([0-9a-f]{64}))\s*$", re.MULTILINE)
_ADAPTER = re.compile(r"^ADAPTER\s", re.MULTILINE)


class Publisher:
    """Talks to one Ollama server.

    Args:
        host: Its address; ``OLLAMA_HOST`` or the usual port if empty.
    """

    def __init__(self, host: str = "") -> None:
        # The library reads the address when it is imported.
        check_url(os.environ.get("OLLAMA_HOST", ""), "OLLAMA_HOST")
        check_url(host, "--host")
        import ollama

        self._client = ollama.Client(host=host or None, timeout=TIMEOUT)

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._client._client.base_url).rstrip("/")

    def names(self) -> list[str]:
        """Return what the server has.

        Raises:
            StudentError: If it does not answer.
        """
        return list(self.digests())

    def digests(self) -> ollama_names.ByName:
        """Return the digest of each model that the server has, as a student of it tells it.

        They are found under any spelling of a model's name.

        Raises:
            StudentError: If it does not answer.
        """
        with self._trouble("list its models"):
            return ollama_names.ByName(
                (model.model or "", (model.digest or "").removeprefix("sha256:")[:DIGEST_CHARS])
                for model in self._client.list().models
            )

    def level(self, name: str) -> str:
        """Return how a model's weights are stored (``F16``, ``Q4_K_M``); empty if it is not told.

        Raises:
            StudentError: If there is no such model, or the server is gone.
        """
        return self.shown(name).level

    def shown(self, name: str) -> Shown:
        """Return what the server says of a model.

        Raises:
            StudentError: If there is no such model, or the server is gone.
        """
        with self._trouble(f"show {name!r}"):
            said = self._client.show(name)
        made, details = said.modelfile or "", said.details
        found = _FROM.search(made)
        return Shown(
            level=(details.quantization_level or "") if details is not None else "",
            architecture=str((said.modelinfo or {}).get("general.architecture", "")),
            form=(details.format or "") if details is not None else "",
            blob=found.group(2) if found else "",
            file=found.group(1) if found else "",
            adapted=_ADAPTER.search(made) is not None,
        )

    def read(self, name: str, prompt: str) -> int | None:
        """Return how many tokens a model reads of a whole prompt; None if the server does not say.

        Raises:
            StudentError: If there is no such model, or the server is gone.
        """
        with self._trouble(f"ask {name!r}"):
            told = self._client.generate(name, prompt, raw=True, options={"num_predict": 1})
        return told.prompt_eval_count

    def create(self, model: Model, say: Say) -> None:
        """Create a model, in place of one of the same name.

        Raises:
            StudentError: If the server is gone, refuses a file, or cannot convert the model.
        """
        with self._trouble(f"create {model.name!r}"):
            digests = {name: self._upload(path, say) for name, path in model.files.items()}
            adapters = {name: self._upload(path, say) for name, path in model.adapters.items()}
            last = ""
            for step in self._client.create(
                model.name,
                quantize=model.quantize or None,
                from_=model.source or None,
                files=digests or None,
                adapters=adapters or None,
                template=model.template,
                system=model.system or None,
                parameters=dict(model.parameters),
                stream=True,
            ):
                if step.status and step.status != last:
                    last = step.status
                    say(last)
        if last != "success":
            raise StudentError(f"Ollama did not finish creating {model.name!r}", "create it again")

    def copy(self, source: str, name: str) -> None:
        """Give a model another name, too, in place of a model that has it.

        Raises:
            StudentError: If it is not there, or the server is gone.
        """
        with self._trouble(f"copy {source!r} to {name!r}"):
            self._client.copy(source, name)

    def delete(self, name: str) -> None:
        """Take a model away.

        Raises:
            StudentError: If it is not there, or the server is gone.
        """
        with self._trouble(f"delete {name!r}"):
            self._client.delete(name)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _upload(self, path: Path, say: Say) -> str:
        with path.open("rb") as stream:
            digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        # The client posts without asking; a model's weights are worth a question.
        if self._client._client.head(f"/api/blobs/{digest}").status_code == 200:
            say(f"{path.name}: there already")
            return digest
        say(f"{path.name}: uploading {path.stat().st_size / 2**20:,.1f} MiB")
        return self._client.create_blob(path)

    @contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            words = (str(error.error).strip().splitlines() or ["no reason given"])[0][:300]
            # -1 is what the client makes of an error inside a stream that began with 200.
            status = f" (status {error.status_code})" if error.status_code > 0 else ""
            raise StudentError(f"Ollama could not {what}{status}: {words}") from error
        except (ConnectionError, httpx.ConnectError) as error:
            raise StudentError(
                f"Ollama does not answer at {self.url}", "start it: ollama serve"
            ) from error
        except (httpx.HTTPError, ValueError, TypeError) as error:
            raise StudentError(
                f"Ollama could not {what}: {type(error).__name__}", "is it Ollama that listens there?"
            ) from error
