"""What a scripted Ollama server does with a prompt that does not fit, as was measured on a real one.

Owns the window of a request, the refusal where ``truncate`` is false, and what is left of a prompt
otherwise: of a chat the earliest turns are dropped, the system message and the last turn stay, and
nothing shows it; the middle of a message that is too long alone is cut, to the window (0.30) or to
about half of it (the engine of later versions). Servers before 0.13 pass over ``truncate``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from preceptor.agents.servers.scripted import Body, Response, prompt_text, tokens

DEFAULT_CTX = 4096
REFUSAL = "the input length exceeds the context length"


@dataclass(frozen=True)
class Fitted:
    """What a model reads of a request.

    Attributes:
        body: The request, cut.
        read: Tokens of it.
        window: Tokens of prompt and answer.
        cut: Whether a message was cut.
    """

    body: Body
    read: int
    window: int
    cut: bool = False

    def room(self, body: Body) -> int:
        """Return how many tokens an answer may have."""
        most = option(body, "num_predict")
        if self.cut and body.get("shift") is False:
            return 1
        # With context shift, writing goes on past the window.
        left = self.window if self.cut else self.window - self.read
        return left if most is None or most < 0 else min(most, left)


def option(body: Body, name: str) -> int | None:
    """Return a whole number among a request's options, None if it is not there."""
    options = body.get("options")
    value = options.get(name) if isinstance(options, dict) else None
    return value if isinstance(value, int) else None


def window_of(body: Body, longest: int) -> int:
    """Return the window of a request: what it asks for, as far as the model goes."""
    return min(option(body, "num_ctx") or DEFAULT_CTX, longest)


def old(version: str) -> bool:
    """Return whether a server of this version passes over ``truncate``."""
    parts = version.split(".")
    return len(parts) > 1 and (int(parts[0]), int(parts[1])) < (0, 13)


def halves(version: str) -> bool:
    """Return whether the engine of this version cuts a message to half of the window."""
    return version.split(".")[:2] != ["0", "30"]


def fitted(body: Body, longest: int, half: bool) -> Fitted | Response:
    """Return what a model reads of a chat request, or the refusal.

    Args:
        body: The request.
        longest: The model's context.
        half: Whether a message that is too long is cut to half of the window, or to the whole.
    """
    window = window_of(body, longest)
    read = len(tokens(prompt_text(body)))
    if read <= window:
        return Fitted(body, read, window)
    if body.get("truncate") is False:
        return Response.of({"error": REFUSAL}, 400)
    given = body.get("messages")
    turns: list[JsonValue] = [*given] if isinstance(given, list) else []
    while len(turns) > 1 and len(tokens(prompt_text({"messages": turns}))) > window:
        place = next((i for i, turn in enumerate(turns[:-1]) if not _is_system(turn)), None)
        if place is None:
            break
        turns.pop(place)
    read = len(tokens(prompt_text({"messages": turns})))
    if read <= window:
        return Fitted({**body, "messages": turns}, read, window)
    kept = window // 2 + 2 if half else window
    return Fitted({**body, "messages": _cut(turns, read - kept)}, kept, window, cut=True)


def cut_to(body: Body, window: int) -> Body:
    """Return a chat request of so many tokens at most, cut in the middle of its last message."""
    given, read = body.get("messages"), len(tokens(prompt_text(body)))
    if read <= window or not isinstance(given, list):
        return body
    return {**body, "messages": _cut([*given], read - window)}


def _is_system(turn: JsonValue) -> bool:
    return isinstance(turn, dict) and turn.get("role") == "system"


def _cut(turns: list[JsonValue], surplus: int) -> list[JsonValue]:
    """Take so many tokens out of the middle of the last message."""
    last = turns[-1]
    assert isinstance(last, dict)
    return [*turns[:-1], {**last, "content": cut_text(str(last.get("content") or ""), surplus)}]


def cut_text(text: str, surplus: int) -> str:
    """Return a text without so many tokens of its middle."""
    pieces = tokens(text)
    kept = max(0, len(pieces) - surplus)
    return "".join([*pieces[: kept // 2], *pieces[len(pieces) - (kept - kept // 2) :]])
