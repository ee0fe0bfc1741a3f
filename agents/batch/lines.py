"""The files of a batch: one request per line out, one result per line back.

Owns the shape of the lines as OpenAI's Batch API guide has it, and the limits of one batch. What a
server writes is read with care: a broken line, or one that nobody asked for, is no result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MOST_REQUESTS = 50_000
"""Requests in one batch."""

MOST_BYTES = 200_000_000
"""Bytes of one file."""

ROOM = 0.75
"""How much of a file is filled: redaction may make it longer after it was cut."""


@dataclass(frozen=True)
class Limits:
    """How large one batch may be."""

    requests: int = MOST_REQUESTS
    size: int = int(ROOM * MOST_BYTES)


@dataclass(frozen=True)
class Outcome:
    """What became of one request.

    Attributes:
        status: The HTTP status of its answer; 0 if it was never asked.
        body: The answer, None if there is none.
        code: The error's code, empty if there is none.
    """

    status: int
    body: Mapping[str, JsonValue] | None
    code: str = ""


def custom_id(place: int) -> str:
    """Return what names a request in its batch: its place. A note's id says too much."""
    return f"r{place}"


def dump(bodies: Sequence[Mapping[str, object]]) -> bytes:
    """Return the content of an input file."""
    lines = (
        {"custom_id": custom_id(i), "method": "POST", "url": ENDPOINT, "body": body}
        for i, body in enumerate(bodies)
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(
        "utf-8", "replace"
    )


def parts(sizes: Sequence[int], limits: Limits) -> Iterator[tuple[int, int]]:
    """Yield (first, past the last) request of each batch, as many as fit in each.

    Args:
        sizes: Bytes of each request.
        limits: Of one batch.
    """
    start, held = 0, 0
    for i, size in enumerate(sizes):
        if i > start and (i - start >= limits.requests or held + size > limits.size):
            yield start, i
            start, held = i, 0
        held += size
    if start < len(sizes):
        yield start, len(sizes)


def read(data: bytes) -> dict[str, Outcome]:
    """Return the outcomes in an output or error file, by custom id; of two with one id the first."""
    found: dict[str, Outcome] = {}
    for raw in data.splitlines():
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
            found.setdefault(line["custom_id"], _outcome(line))
    return found


def _outcome(line: Mapping[str, JsonValue]) -> Outcome:
    response, error = line.get("response"), line.get("error")
    if not isinstance(response, dict):
        return Outcome(0, None, _code(error) or "no_response")
    status, body = response.get("status_code"), response.get("body")
    whole = body if isinstance(body, dict) else None
    inner = _code(whole.get("error")) if whole is not None else ""
    return Outcome(status if isinstance(status, int) else 0, whole, _code(error) or inner)


def _code(error: JsonValue) -> str:
    """Return an error's code; its words may quote a note and are not looked at."""
    code = error.get("code") if isinstance(error, dict) else None
    return "".join(c for c in str(code or "") if c.isalnum() or c in "_-")[:60]
