"""One request to Ollama, with parameters that its Python client does not have.

Owns ``truncate: false``, without which a server cuts a prompt that does not fit (the middle of a long
message, or the earliest turns) and answers 200: with it the answer is 400. Owns, too, since when
servers know it, and how they say that a prompt is too long: the text differs with the engine
underneath.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

from preceptor.agents.students.whole import says_too_long

if TYPE_CHECKING:
    import httpx
    import ollama
    from pydantic import BaseModel

    T = TypeVar("T", bound=BaseModel)

ASKING = ("/api/chat", "/api/generate")

KNOWS = (0, 13)
"""The version from which servers surely know ``truncate``; it came in the course of 0.12."""

_TOKENS = re.compile(r"n_prompt_tokens\W{1,6}(\d+)|\((\d+) tokens\)")
_VERSION = re.compile(r"(\d+)\.(\d+)")


def send(client: ollama.Client, path: str, body: dict[str, object], shape: type[T]) -> T:
    """Send a request through the client's own transport; return its whole answer.

    Args:
        client: Whose connections, address and errors are used.
        path: ``/api/chat`` or ``/api/generate``.
        body: What the client would send; what it would leave out is None.
        shape: The client's class of the answer.

    Raises:
        ollama.ResponseError: As the client's own calls do; likewise ``ConnectionError`` and httpx's.
    """
    said = {key: value for key, value in body.items() if value is not None}
    return client._request(shape, "POST", path, json={**said, "stream": False, "truncate": False})


def knows_truncate(version: str) -> bool:
    """Return whether a server of this version surely refuses what it would have to cut.

    One that was built without a version says 0.0.0; nothing is known of it.
    """
    found = _VERSION.match(version)
    return found is not None and (int(found[1]), int(found[2])) >= KNOWS


def too_long(status: int, words: object) -> bool:
    """Return whether an error says that the prompt does not fit."""
    return status in (400, 500) and says_too_long(words)


def tokens_told(words: object) -> int:
    """Return how many tokens the prompt has, where an error tells it, else 0."""
    found = _TOKENS.search(str(words))
    return int(found[1] or found[2]) if found else 0


def out_of_memory(status: int, words: object) -> bool:
    """Return whether an error says that the server has no memory for what was asked."""
    return status >= 500 and "memory" in str(words).casefold()


def never_cut(request: httpx.Request) -> None:
    """Add ``"truncate": false`` to a request for an answer: a request hook of the client's."""
    import httpx

    if not request.url.path.endswith(ASKING):
        return
    body = {**json.loads(request.read()), "truncate": False}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    request.stream = httpx.ByteStream(content)
    request.headers["Content-Length"] = str(len(content))
