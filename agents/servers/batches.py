"""Files and batches of the scripted OpenAI server, as the published reference and guide have them.

``POST/GET /v1/files``, ``GET/DELETE /v1/files/ID``, ``GET /v1/files/ID/content``, ``POST/GET
/v1/batches``, ``GET /v1/batches/ID`` and ``POST /v1/batches/ID/cancel``. A batch goes one state further
with every look at it; each of its requests is answered as the server would answer it alone. What goes
wrong is scripted: how a batch ends, which lines fail, and trouble with any request, also after it was
carried out.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import parse_qs, urlsplit

from pydantic import JsonValue

from preceptor.agents.servers.scripted import Body, Request, Response, Trouble
from preceptor.core.reading import loads

MOST = 50_000
EXPIRED: Body = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}
PATHS = ("/v1/files", "/v1/batches")


@dataclass(frozen=True)
class Course:
    """How a batch goes.

    Attributes:
        states: What looks at it find before its end, in order.
        end: ``completed``, ``failed``, ``expired`` or ``cancelled``.
        answered: How many of its requests are answered before it ends early; all if None.
        code: Why it failed.
        lines: Answers to single lines in place of the proper ones, by their place.
        tail: Bytes that stand in the output file after the answers.
    """

    states: tuple[str, ...] = ("in_progress", "finalizing")
    end: str = "completed"
    answered: int | None = None
    code: str = "invalid_request"
    lines: Mapping[int, Response] = field(default_factory=dict)
    tail: bytes = b""


@dataclass
class _Batch:
    told: Body
    course: Course
    requests: list[Body]
    looks: int = 0


class Counter:
    """The server's files and batches.

    Args:
        answer: Answers one request, as the server would.
        courses: How the first, second, … batch goes; further ones are completed.
        before: Trouble in place of requests, by kind: ``upload``, ``files``, ``content``, ``create``,
            ``list``, ``look``, ``cancel``, ``delete``.
        after: Trouble with the answer to requests that were carried out.
        now: Seconds since 1970 on the server's clock.

    Attributes:
        files: What lies there: (name, purpose, content) by id.
        kinds: The requests so far, in order, each by its kind.
    """

    def __init__(
        self,
        answer: Callable[[Request], Response],
        courses: Iterable[Course] = (),
        before: Mapping[str, Iterable[Trouble | None]] | None = None,
        after: Mapping[str, Iterable[Trouble | None]] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._answer = answer
        self._courses = iter(courses)
        self._before = {kind: iter(given) for kind, given in (before or {}).items()}
        self._after = {kind: iter(given) for kind, given in (after or {}).items()}
        self._now = now
        self._made = 0
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self._batches: dict[str, _Batch] = {}
        self.kinds: list[str] = []

    @property
    def batches(self) -> list[Body]:
        """The batches as they stand, oldest first."""
        return [made.told for made in self._batches.values()]

    def handle(self, request: Request) -> Response | None:
        """Return what is sent, None to drop the connection."""
        parts = urlsplit(request.path)
        kind, act = self._route(request.method, parts.path.removeprefix("/v1/").split("/"))
        self.kinds.append(kind)
        first = next(self._before.get(kind, iter(())), None)
        if first is not None:
            return None if first.drop else first.response
        given = {k: v[-1] for k, v in parse_qs(parts.query).items()}
        made = act(request, given)
        then = next(self._after.get(kind, iter(())), None)
        if then is not None:
            return None if then.drop else then.response
        return made

    def _route(
        self, method: str, path: list[str]
    ) -> tuple[str, Callable[[Request, Mapping[str, str]], Response]]:
        name = path[1] if len(path) > 1 else ""
        routes: dict[tuple[str, str, int], tuple[str, Callable[..., Response]]] = {
            ("POST", "files", 1): ("upload", lambda r, q: self._upload(r)),
            ("GET", "files", 1): ("files", lambda r, q: self._listed(self._files(), q, 10_000)),
            ("GET", "files", 2): ("file", lambda r, q: self._file(name)),
            ("DELETE", "files", 2): ("delete", lambda r, q: self._delete(name)),
            ("GET", "files", 3): ("content", lambda r, q: self._content(name)),
            ("POST", "batches", 1): ("create", lambda r, q: self._create(r.body)),
            ("GET", "batches", 1): ("list", lambda r, q: self._listed(self.batches, q, 20)),
            ("GET", "batches", 2): ("look", lambda r, q: self._look(name)),
            ("POST", "batches", 3): ("cancel", lambda r, q: self._cancel(name)),
        }
        missing = ("unknown", lambda r, q: refusal(404, "no such path", None))
        return routes.get((method, path[0], len(path)), missing)

    def _upload(self, request: Request) -> Response:
        form = _form(request)
        if "file" not in form or "purpose" not in form:
            return refusal(400, "'file' and 'purpose' are required", "missing_required_parameter")
        name, content = form["file"]
        if not content.strip():
            return refusal(400, "the file is empty", "empty_file")
        return Response.of(self._keep(name, form["purpose"][1].decode(), content))

    def _keep(self, name: str, purpose: str, content: bytes) -> Body:
        self._made += 1
        made = f"file-{self._made}"
        self.files[made] = name, purpose, content
        return self._told(made)

    def _told(self, name: str) -> Body:
        filename, purpose, content = self.files[name]
        return {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": int(self._now()),
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }

    def _files(self) -> list[Body]:
        return [self._told(name) for name in self.files]

    def _file(self, name: str) -> Response:
        return Response.of(self._told(name)) if name in self.files else _no("file", name)

    def _delete(self, name: str) -> Response:
        if self.files.pop(name, None) is None:
            return _no("file", name)
        return Response.of({"id": name, "object": "file", "deleted": True})

    def _content(self, name: str) -> Response:
        if name not in self.files:
            return _no("file", name)
        return Response(self.files[name][2], type="application/octet-stream")

    def _listed(self, found: list[Body], query: Mapping[str, str], usual: int) -> Response:
        """Return a page of a list, latest first; ``after`` and ``limit`` as published."""
        limit = int(query.get("limit", usual))
        latest = found[::-1]
        names = [one["id"] for one in latest]
        start = names.index(query["after"]) + 1 if query.get("after") in names else 0
        page = list(islice(latest, start, start + limit))
        return Response.of(
            {
                "object": "list",
                "data": [*page],
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": start + limit < len(latest),
            }
        )

    def _create(self, body: Body) -> Response:
        source = str(body.get("input_file_id"))
        if source not in self.files or self.files[source][1] != "batch":
            return _no("file", source)
        if body.get("completion_window") != "24h":
            return refusal(400, "completion_window must be 24h", "invalid_value")
        course = next(self._courses, Course())
        requests, errors = _requests(self.files[source][2], str(body.get("endpoint")))
        name = f"batch_{len(self._batches) + 1}"
        now = int(self._now())
        told: Body = {
            "id": name,
            "object": "batch",
            "endpoint": body.get("endpoint"),
            "errors": {"object": "list", "data": errors} if errors else None,
            "input_file_id": source,
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + 86_400,
            "request_counts": {"total": len(requests), "completed": 0, "failed": 0},
            "metadata": body.get("metadata"),
        }
        states = ("in_progress",) if errors else course.states
        course = Course(states, "failed") if errors else course
        self._batches[name] = _Batch(told, course, requests)
        return Response.of(told)

    def _look(self, name: str) -> Response:
        made = self._batches.get(name)
        if made is None:
            return _no("batch", name)
        if made.told["status"] == "cancelling":
            self._end(made, "cancelled", made.course.answered or 0)
        elif made.told["status"] not in ("completed", "failed", "expired", "cancelled"):
            states = made.course.states
            if made.looks < len(states):
                made.told["status"] = states[made.looks]
            else:
                self._end(made, made.course.end, made.course.answered)
            made.looks += 1
        return Response.of(made.told)

    def _cancel(self, name: str) -> Response:
        made = self._batches.get(name)
        if made is None:
            return _no("batch", name)
        if made.told["status"] in ("validating", "in_progress", "finalizing"):
            made.told["status"] = "cancelling"
        return Response.of(made.told)

    def _end(self, made: _Batch, state: str, answered: int | None) -> None:
        made.told["status"] = state
        made.told[f"{state}_at"] = int(self._now())
        if state == "failed":
            if not made.told["errors"]:
                error: Body = {"code": made.course.code, "message": "scripted", "line": None}
                made.told["errors"] = {"object": "list", "data": [error]}
            return
        good: list[Body] = []
        bad: list[Body] = []
        for place, request in enumerate(made.requests):
            if answered is not None and place >= answered:
                if state == "expired":
                    bad.append(_line(request, None, EXPIRED))
                continue
            got = made.course.lines.get(place) or self._answer(_alone(request))
            kept = good if got.status == 200 else bad
            kept.append(_line(request, got, None))
        made.told["request_counts"] = {
            "total": len(made.requests), "completed": len(good), "failed": len(bad),
        }  # fmt: skip
        for key, found in (("output_file_id", good[::-1]), ("error_file_id", bad)):
            if found:
                text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found).encode()
                tail = made.course.tail if key == "output_file_id" else b""
                made.told[key] = self._keep("results.jsonl", "batch_output", text + tail)["id"]


def _alone(request: Body) -> Request:
    body = request["body"]
    return Request(0.0, "POST", str(request["url"]), {}, body if isinstance(body, dict) else {})


def _line(request: Body, got: Response | None, error: Body | None) -> Body:
    response: Body | None = None
    if got is not None:
        try:
            body = loads(got.content)
        except ValueError:
            body = got.content.decode()
        response = {"status_code": got.status, "request_id": "req_1", "body": body}
    return {
        "id": "batch_req_1", "custom_id": request["custom_id"], "response": response, "error": error,
    }  # fmt: skip


def _requests(content: bytes, endpoint: str) -> tuple[list[Body], list[JsonValue]]:
    """Return the requests of an input file, and what is wrong with it."""
    found: list[Body] = []
    errors: list[JsonValue] = []
    names: set[str] = set()
    models: set[str] = set()
    for number, raw in enumerate(content.splitlines(), 1):
        code = ""
        try:
            line = loads(raw)
            body = line["body"]
            models.add(str(body["model"]))
            if line["method"] != "POST" or line["url"] != endpoint:
                code = "mismatched_url"
            elif line["custom_id"] in names:
                code = "duplicate_custom_id"
            elif len(models) > 1:
                code = "mismatched_model"
            names.add(line["custom_id"])
            found.append(line)
        except (ValueError, KeyError, TypeError):
            code = "invalid_json_line"
        if code:
            errors.append({"code": code, "line": number, "message": "scripted", "param": None})
    if len(found) > MOST:
        errors.append({"code": "too_many_requests", "line": None, "message": "scripted", "param": None})
    return found, errors


def _form(request: Request) -> dict[str, tuple[str, bytes]]:
    """Return the parts of a multipart form: (file name, content) by field."""
    edge = re.search(r"boundary=\"?([^\";]+)", request.headers.get("content-type", ""))
    found: dict[str, tuple[str, bytes]] = {}
    for part in request.raw.split(b"--" + edge.group(1).encode()) if edge else ():
        head, _, content = part.partition(b"\r\n\r\n")
        said = head.decode("utf-8", "replace")
        name = re.search(r"\bname=\"([^\"]*)\"", said)
        file = re.search(r"\bfilename=\"([^\"]*)\"", said)
        if name:
            found[name.group(1)] = (file.group(1) if file else "", content.removesuffix(b"\r\n"))
    return found


def refusal(status: int, message: str, code: str | None, param: str | None = None) -> Response:
    """Return an error as OpenAI writes it."""
    error: Body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Response.of({"error": error}, status)


def _no(what: str, name: str) -> Response:
    return refusal(404, f"No {what} found with id '{name}'.", None)
