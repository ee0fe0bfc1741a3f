"""The server of batches: files and batches over HTTP, with the client's own types.

Owns what is sent to ``/files`` and ``/batches``, which trouble is waited out, and what an error means.
A server's own words are never shown: they may quote a request, and so a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from preceptor.agents.batch.lines import ENDPOINT
from preceptor.agents.students.retry import (
    UNTRUSTED_HINT,
    Backoff,
    Passing,
    Stop,
    persist,
    retry_after,
    untrusted,
    worth_another_try,
)
from preceptor.core import wire
from preceptor.core.errors import StudentError

if TYPE_CHECKING:
    import openai

MARK = "preceptor"
"""The name under which a batch's metadata holds its marker."""

OVER = frozenset({"completed", "failed", "expired", "cancelled"})
"""States in which nothing more happens."""

STATES = OVER | {"validating", "in_progress", "finalizing", "cancelling"}

SLACK = 3600.0
"""How far a server's clock may be behind ours, in seconds, before its list is searched too short."""

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """A batch as the server tells it.

    Attributes:
        id: Its id.
        status: One of ``STATES``.
        input: The id of the file that was handed in; empty if not told.
        output: The id of the file of results; empty if there is none.
        errors: The id of the file of errors; empty if there is none.
        code: Why it failed, in the server's code; empty if it did not.
        done: How many requests have an answer.
        total: Out of how many.
    """

    id: str
    status: str
    input: str = ""
    output: str = ""
    errors: str = ""
    code: str = ""
    done: int = 0
    total: int = 0


class Service:
    """Batches at one server.

    Args:
        client: The OpenAI client, its own retries off.
        backoff: How one request is tried again.
        stop: Waits between tries, and says when to give up.
    """

    def __init__(self, client: openai.OpenAI, backoff: Backoff, stop: Stop) -> None:
        self._client = client
        self._backoff = backoff
        self._stop = stop
        self.host = str(client.base_url.host)

    def upload(self, name: str, data: bytes) -> str:
        """Hand in a file; return its id."""

        def ask() -> str:
            made = self._client.files.create(file=(name, data, "application/jsonl"), purpose="batch")
            return _text(made, "id")

        return self._asked(ask, "the file of requests")

    def file_named(self, name: str) -> str:
        """Return the id of the file of this name, an empty text if it never arrived."""

        def ask() -> str:
            for file in self._client.files.list(purpose="batch", order="desc", limit=1000):
                if getattr(file, "filename", "") == name:
                    return _text(file, "id")
            return ""

        return self._asked(ask, "the list of files")

    def create(self, file: str, marker: str, since: float) -> Seen:
        """Create the batch that carries ``marker``, unless it is there already.

        A request that broke off may have arrived. So the list of batches is searched before it is
        sent again.
        """
        tries = 0

        def ask() -> Seen:
            nonlocal tries
            tries += 1
            there = self._find(marker, since) if tries > 1 else None
            if there is not None:
                return there
            made = self._client.batches.create(
                input_file_id=file,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={MARK: marker},
            )
            return _seen(made)

        return self._asked(ask, "the batch")

    def find(self, marker: str, since: float) -> Seen | None:
        """Return the batch that carries ``marker``, None if there is none.

        Args:
            marker: What to look for.
            since: Batches created before this, in seconds since 1970, are not looked at.
        """
        return self._asked(lambda: self._find(marker, since), "the list of batches")

    def _find(self, marker: str, since: float) -> Seen | None:
        for batch in self._client.batches.list(limit=100):
            if (getattr(batch, "metadata", None) or {}).get(MARK) == marker:
                return _seen(batch)
            if (getattr(batch, "created_at", None) or since) < since - SLACK:
                return None
        return None

    def look(self, batch: str) -> Seen:
        """Return how far a batch is."""
        return self._asked(lambda: _seen(self._client.batches.retrieve(batch)), "the batch")

    def cancel(self, batch: str) -> Seen:
        """Ask the server to stop a batch; what is answered by then is kept."""
        return self._asked(lambda: _seen(self._client.batches.cancel(batch)), "the batch")

    def content(self, file: str) -> bytes:
        """Return what is in a file."""

        def ask() -> bytes:
            raw: bytes = self._client.files.content(file).content
            if raw.lstrip()[:1] not in (b"{", b""):
                raise ValueError("not JSON lines")
            return raw

        return self._asked(ask, "the file of results")

    def delete(self, file: str) -> None:
        """Remove a file from the server, if it lets us."""
        import openai

        try:
            self._client.files.delete(file)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return

    def _asked(self, ask: Callable[[], T], what: str) -> T:
        """Ask, waiting out what may pass.

        Raises:
            Passing: If it did not pass.
            StudentError: If it will not.
        """
        import openai

        def once() -> T:
            try:
                return ask()
            except openai.OpenAIError as error:
                raise self._meant(error, what) from None
            except (ValueError, TypeError, AttributeError):
                raise self._strange() from None

        return persist(once, self._backoff, self._stop)

    def _strange(self) -> StudentError:
        return StudentError(
            f"{self.host!r} answers with something that is no batch API",
            "does the URL end in /v1? set labeller.batch to 'never' to ask one by one",
        )

    def _meant(self, error: openai.OpenAIError, what: str) -> Exception:
        import openai

        moved = wire.redirected(error)
        if moved is not None:
            return moved
        if isinstance(error, openai.APIStatusError):
            return self._status(error, what)
        if isinstance(error, openai.APIConnectionError) and untrusted(error):
            return StudentError(f"the certificate of {self.host!r} is not trusted", UNTRUSTED_HINT)
        if isinstance(error, openai.APITimeoutError | openai.APIConnectionError):
            return Passing(f"{what}: no answer, or the connection broke off")
        return self._strange()

    def _status(self, error: openai.APIStatusError, what: str) -> Exception:
        status, code = error.status_code, str(error.code or "")
        if worth_another_try(status) and code != "insufficient_quota":
            wait = retry_after(error.response.headers.get("retry-after"))
            return Passing(f"{what}: the server answered with status {status}", wait)
        if status in (401, 403) or code == "insufficient_quota":
            hint = "check OPENAI_API_KEY, and what it may do"
            return StudentError(f"{self.host!r} refused access (status {status})", hint)
        hint = "set labeller.batch to 'never' to ask one by one"
        return StudentError(f"{what}: {self.host!r} answered with status {status} {code}".strip(), hint)


def _text(value: object, name: str) -> str:
    found = getattr(value, name, None)
    if not isinstance(found, str) or not found:
        raise ValueError(name)
    return found


def _seen(batch: object) -> Seen:
    """Return a batch of the client, which checks nothing itself.

    Raises:
        ValueError: If it is none.
    """
    status = _text(batch, "status")
    if status not in STATES:
        raise ValueError(status)
    counts = getattr(batch, "request_counts", None)
    return Seen(
        id=_text(batch, "id"),
        status=status,
        input=getattr(batch, "input_file_id", None) or "",
        output=getattr(batch, "output_file_id", None) or "",
        errors=getattr(batch, "error_file_id", None) or "",
        code=next(_codes(getattr(batch, "errors", None)), ""),
        done=(getattr(counts, "completed", None) or 0) + (getattr(counts, "failed", None) or 0),
        total=getattr(counts, "total", None) or 0,
    )


def _codes(errors: object) -> Iterator[str]:
    for error in getattr(errors, "data", None) or ():
        code = str(getattr(error, "code", None) or "unknown")
        yield "".join(c for c in code if c.isalnum() or c in "_-")[:60]
