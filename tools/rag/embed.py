"""Embedders: texts become dense vectors, here or at a server.

Owns the specs and what can go wrong with each: ``hash:DIM`` (hashed pieces of words; offline and the
same everywhere; for tests and for trying the dense path, it knows no meaning), ``ollama:NAME[@URL]``,
``openai:NAME@URL`` (any server with ``/v1/embeddings``), ``st:NAME`` and ``st:PATH`` (a folder in
sentence-transformers' layout, read by ``rag.sentence``) and ``fastembed:NAME``. What is sent to a
server passes the hook that is given, so that the privacy gate sees it: ``Egress.admit`` fits as it is.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from preceptor.core import keys, model_home, ollama_names, served, wire
from preceptor.core.address import Address
from preceptor.core.errors import InputError, StudentError, boundary
from preceptor.tools.rag.retry import Patience, persist
from preceptor.tools.rag.tokens import frequencies, is_piece

Admit = Callable[[str, str], str]
"""(URL, text) -> the text that may be sent there; raises InputError if none may."""

BATCH = 64
TIMEOUT = 60.0
GRAM = 3

Vector = tuple[float, ...]


class Embedder(Protocol):
    """Turns texts into vectors of length 1.

    Attributes:
        spec: How it was asked for.
        digest: What its backend calls the model; empty where it does not tell.
    """

    spec: str
    digest: str

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector per text.

        Raises:
            StudentError: If the model or its server cannot be used.
            InputError: If the texts may not be sent there.
        """
        ...


def embedder_for(
    spec: str,
    admit: Admit | None = None,
    patience: Patience | None = None,
    models: Path | None = None,
    named: Mapping[str, str] | None = None,
) -> Embedder:
    """Return the embedder of a spec.

    Args:
        spec: See the module.
        admit: What every text passes on its way to a server.
        patience: How often a request is tried again.
        models: Where models that were fetched by name live; the default place if None.
        named: The variables that hold the keys of servers, as in the settings (``api_key_env``).

    Raises:
        InputError: If there is no such kind, its library is missing, or its model is not here.
        StudentError: If its model or server cannot be used.
    """
    kind, _, name = spec.partition(":")
    patience = patience or Patience()
    if kind == "hash" and name.isdecimal() and 8 <= int(name) <= 4096:
        return HashEmbedder(int(name))
    if kind == "ollama" and name:
        return OllamaEmbedder(spec, admit, patience, named)
    if kind == "openai" and served.read(spec).url:
        return OpenAIEmbedder(spec, admit, patience, named)
    if kind == "st" and name:
        from preceptor.tools.rag.sentence import SentenceEmbedder

        return SentenceEmbedder(spec, model_home.locate(name, models, "embedder"))
    if kind == "fastembed" and name:
        return _local(spec, _fastembed(name))
    raise InputError(
        f"no embedder {spec!r}",
        "hash:256, ollama:NAME[@URL], openai:NAME@URL, st:NAME, st:PATH or fastembed:NAME",
    )


def unit(values: Iterable[float]) -> Vector:
    """Return a vector of length 1 (or 0) in the same direction, with the precision that is stored."""
    found = tuple(float(v) for v in values)
    size = math.sqrt(sum(v * v for v in found))
    rounded = [round(v / size, 6) if size else 0.0 for v in found]
    # As an artefact keeps it, so that an index read is the index written.
    return struct.unpack(f"<{len(rounded)}f", struct.pack(f"<{len(rounded)}f", *rounded))


class Remembering:
    """An embedder that embeds no text twice.

    Args:
        inner: The embedder that does the work.
    """

    def __init__(self, inner: Embedder) -> None:
        self.spec, self.digest = inner.spec, inner.digest
        self._inner = inner
        self._known: dict[str, Vector] = {}

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector per text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._inner.embed(new), strict=True))
        return [self._known[text] for text in texts]


class HashEmbedder:
    """Hashed random projection of words and of their pieces of three letters."""

    def __init__(self, dim: int) -> None:
        self.spec = f"hash:{dim}"
        self.digest = "1"
        self._dim = dim

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector per text; zeros for a text without words."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Vector:
        values = [0.0] * self._dim
        for token, count in frequencies(text).items():
            if is_piece(token):
                continue
            padded = f"<{token}>"
            grams = [padded[i : i + GRAM] for i in range(max(1, len(padded) - GRAM + 1))]
            for gram in (padded, *grams):
                raw = hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                number = int.from_bytes(raw, "big")
                sign = 1.0 if number & 1 else -1.0
                values[(number >> 1) % self._dim] += sign * math.sqrt(count / len(grams))
        return unit(values)


class _Remote:
    """What the embedders at a server share: batches, the gate, retries, the check of the answer."""

    def __init__(self, spec: str, address: Address, admit: Admit | None, patience: Patience) -> None:
        self.spec = spec
        self.digest = ""
        # Ollama's cloud models are asked here and answered there.
        self._url = served.leads_to(served.read(spec))
        self._address, self._admit, self._patience = address, admit, patience
        self._what = f"the embedder {spec!r}"

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector per text."""
        sent = [self._admit(self._url, text) for text in texts] if self._admit else list(texts)
        out: list[Vector] = []
        for start in range(0, len(sent), BATCH):
            # No server embeds an empty text.
            batch = [text if text.strip() else "-" for text in sent[start : start + BATCH]]
            got = persist(lambda b=batch: self._ask(b), self._passing, self._what, self._patience)  # type: ignore[misc]
            out += self._checked(got, len(batch), len(out[0]) if out else 0)
        return out

    def _checked(self, got: Sequence[Sequence[float]], wanted: int, dim: int) -> list[Vector]:
        if len(got) != wanted or not all(got):
            raise StudentError(
                f"{self._what} gave {len(got)} vectors for {wanted} texts", "is it an embedding model?"
            )
        sizes = {len(v) for v in got} | ({dim} if dim else set())
        if len(sizes) > 1:
            raise StudentError(
                f"{self._what} gave vectors of {sorted(sizes)} dimensions", "use another"
            )
        return [unit(v) for v in got]

    def _ask(self, texts: list[str]) -> Sequence[Sequence[float]]:
        raise NotImplementedError

    def _passing(self, error: Exception) -> bool:
        raise NotImplementedError

    def _refused(self, status: int) -> StudentError:
        hint = "pull the model, or correct its name" if status == 404 else "see the server's log"
        return StudentError(f"{self._what} refuses: status {status}", hint)


class OllamaEmbedder(_Remote):
    """An embedding model that Ollama serves (``/api/embed``)."""

    def __init__(
        self,
        spec: str,
        admit: Admit | None,
        patience: Patience,
        named: Mapping[str, str] | None = None,
    ) -> None:
        found = served.read(spec)
        # The library, too, reads OLLAMA_HOST, when it is imported.
        served.ollama()
        super().__init__(spec, served.ollama(found.url), admit, patience)
        import ollama

        self._name = name = found.model
        sends = wire.settings(self._address, key=keys.ollama(self._address, named or {}))
        self._client = ollama.Client(host=self._address.url, timeout=TIMEOUT, **sends)
        listed = persist(self._client.list, self._passing, self._what, patience)
        digests = {m.model or "": m.digest or "" for m in listed.models}
        self.digest = ollama_names.ByName(digests).get(name) or ""

    def _ask(self, texts: list[str]) -> Sequence[Sequence[float]]:
        import ollama

        try:
            return self._client.embed(model=self._name, input=texts).embeddings
        except ollama.ResponseError as error:
            if self._passing(error):
                raise
            raise self._refused(error.status_code) from None

    def _passing(self, error: Exception) -> bool:
        import httpx
        import ollama

        if isinstance(error, ollama.ResponseError):
            return error.status_code == 429 or error.status_code >= 500
        return isinstance(error, ConnectionError | httpx.TransportError)


class OpenAIEmbedder(_Remote):
    """An embedding model behind ``/v1/embeddings``."""

    def __init__(
        self,
        spec: str,
        admit: Admit | None,
        patience: Patience,
        named: Mapping[str, str] | None = None,
    ) -> None:
        import openai

        found = served.read(spec)
        super().__init__(spec, served.openai(found.url), admit, patience)
        base = self._address.url
        self._name = found.model
        self._client = openai.OpenAI(
            api_key=keys.openai(self._address, named or {}) or "none",
            base_url=base if base.endswith("/v1") else f"{base}/v1",
            timeout=TIMEOUT,
            # The client's own retries are off, because nobody could count them.
            max_retries=0,
            http_client=wire.openai_client(self._address, TIMEOUT),
        )

    def _ask(self, texts: list[str]) -> Sequence[Sequence[float]]:
        import openai

        try:
            got = self._client.embeddings.create(model=self._name, input=texts, encoding_format="float")
        except openai.APIStatusError as error:
            if self._passing(error):
                raise
            raise self._refused(error.status_code) from None
        except openai.APIConnectionError as error:
            raise wire.redirected(error) or error from None
        return [item.embedding for item in sorted(got.data, key=lambda item: item.index)]

    def _passing(self, error: Exception) -> bool:
        import openai

        if isinstance(error, openai.APIStatusError):
            return error.status_code == 429 or error.status_code >= 500
        return isinstance(error, openai.APIConnectionError)


class _Local:
    """A model in this process."""

    def __init__(self, spec: str, encode: Callable[[list[str]], Iterable[Iterable[float]]]) -> None:
        self.spec, self.digest = spec, ""
        self._encode = encode

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector per text."""
        with boundary(StudentError, f"the embedder {self.spec!r} failed"):
            return [unit(vector) for vector in self._encode(list(texts))]


def _local(spec: str, encode: Callable[[list[str]], Iterable[Iterable[float]]]) -> Embedder:
    return _Local(spec, encode)


def _missing(library: str) -> InputError:
    return InputError(f"{library} is not installed", f"pip install {library}")


def _fastembed(name: str) -> Callable[[list[str]], Iterable[Iterable[float]]]:
    from importlib import import_module

    try:
        module = import_module("fastembed")
    except ImportError:
        raise _missing("fastembed") from None
    with boundary(StudentError, f"the embedder 'fastembed:{name}' cannot be loaded"):
        model = module.TextEmbedding(name)
    return lambda texts: (vector.tolist() for vector in model.embed(texts))
