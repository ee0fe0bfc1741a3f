"""``openai:NAME@URL`` with a tokenizer of ours: llama.cpp's server, asked with our own text.

Owns what a raw request to llama.cpp is made of: the prompt as it was rendered for training, which no
template of the server's touches, and a schema with the separators of training text. A llama.cpp that
was built without llguidance reads the schema and passes over the separators. Owns, too, what the
server's own template makes of a prompt, which llama.cpp tells.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from preceptor.agents.students import StudentOptions
from preceptor.agents.students.chat import of_folder
from preceptor.agents.students.completion import Said
from preceptor.agents.students.grammar import SEPARATORS
from preceptor.agents.students.openai import BadRequest, OpenAIStudent
from preceptor.core import wire
from preceptor.core.address import parse
from preceptor.core.errors import StudentError
from preceptor.core.fields import object_schema
from preceptor.core.records import Call, Reply


class LlamaCppStudent(OpenAIStudent):
    """Asks llama.cpp's server for completions of whole prompts.

    Args:
        name: The model's name at the server.
        url: The server, with or without ``/v1``.
        options: Concurrency, timeout, retries.
        tokenizer: The folder of the tokenizer that prompts are rendered with.

    Raises:
        StudentError: If the server cannot be reached, or there is no tokenizer.
    """

    def __init__(self, name: str, url: str, options: StudentOptions, tokenizer: Path) -> None:
        self._rendered = of_folder(tokenizer)
        super().__init__(name, url, options)

    def _ask(self, call: Call) -> Reply:
        began = time.monotonic()
        try:
            got = self._completed(call)
        except BadRequest as refusal:
            raise (self._too_long(call) if refusal.truncated else refusal) from None
        self._served.check(got.model)
        self._fits = True
        return self.read(call, got, time.monotonic() - began)

    def _send(self, call: Call) -> object:
        return self._completed(call)

    def _completed(self, call: Call) -> Said:
        body: dict[str, object] = {
            "model": self._name,
            "prompt": self._rendered.text(call.messages),
            "temperature": call.decoding.temperature,
            "seed": call.decoding.seed,
            "max_tokens": call.decoding.max_tokens,
            "cache_prompt": False,
        }
        if call.decoding.constrained:
            body["json_schema"] = {**object_schema(call.fields), "x-guidance": {**SEPARATORS}}
        return self._post("/completions", body)


def templated(url: str, calls: Sequence[Call], timeout: float) -> list[str]:
    """Return the prompts as the template of a llama.cpp server renders them.

    Raises:
        StudentError: If the server does not say.
    """
    import httpx

    found = []
    try:
        with wire.client(parse(url), timeout) as client:
            for call in calls:
                turns = [{"role": m.role, "content": m.content} for m in call.messages]
                said = client.post("/apply-template", json={"messages": turns}).raise_for_status()
                found.append(str(said.json()["prompt"]))
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise StudentError("llama.cpp does not say what its template renders") from error
    return found
