"""What the ``ollama`` client cannot say and Ollama understands: a prompt that does not fit is refused.

Owns one change of the client's own requests. Without it Ollama cuts the middle of a prompt, or drops
earlier turns, and answers 200; with it, it answers 400 "the input length exceeds the context length".
Version 0.6.3 of the client has no such parameter.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

ASKING = ("/api/chat", "/api/generate")


def never_cut(request: httpx.Request) -> None:
    """Add ``"truncate": false`` to a request for an answer: a request hook of the client's."""
    import httpx

    if not request.url.path.endswith(ASKING):
        return
    body = {**json.loads(request.read()), "truncate": False}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    request.stream = httpx.ByteStream(content)
    request.headers["Content-Length"] = str(len(content))
