"""Hostile and broken chat teachers, as scripts for the scripted chat server.

Each case plays against the loop on the small task, over real HTTP. Whatever it does, the run must end
with its best recipe kept, and the teacher must have been told what would help.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from preceptor.agents.servers.openai import Item, completion, tool_call
from preceptor.agents.servers.scripted import Body, Response, Trouble

HINT: Body = {"kind": "add_look_for", "field": "fever", "phrases": ["burning up"]}
MOVE: Body = {"patches": [HINT]}


@dataclass(frozen=True)
class Case:
    """One teacher.

    Attributes:
        name: What it does.
        script: What it answers, for ever.
        told: Words that its correction must hold; empty: it is not corrected but lost.
        stop: Why the run ends.
        troubles: What its server does instead.
    """

    name: str
    script: tuple[Item, ...] = ()
    told: str = ""
    stop: str = "teacher"
    troubles: tuple[Trouble, ...] = ()

    def answers(self) -> Iterable[Item]:
        """Return the script, round and round."""
        return itertools.cycle(self.script or (completion("?"),))


def _edit(arguments: Body | str) -> Body:
    return completion(calls=[tool_call("edit_prompt", arguments)])


def _patches(*patches: Body) -> Body:
    return _edit({"patches": list(patches)})


_HTML = Response(b"<html><body><h1>Sign in</h1></body></html>", type="text/html")
_TWO = [tool_call("edit_prompt", MOVE, "c1"), tool_call("edit_prompt", MOVE, "c2")]

CASES = (
    Case("malformed JSON", (_edit('{"patches": [{"kind": '),), "no valid JSON"),
    Case("JSON with comments", (_edit('{"patches": [] // none\n}'),), "no valid JSON"),
    Case("arguments that are a list", (_edit("[1, 2]"),), "JSON"),
    Case("unknown tool", (completion(calls=[tool_call("delete_run", {})]),), "There is no tool"),
    Case(
        "a tool's name of 5,000 letters",
        (completion(calls=[tool_call("x" * 5000, {})]),),
        "There is no tool",
    ),
    Case("wrong types", (_edit({"patches": "add emesis"}),), "patches"),
    Case("no arguments", (_edit({}),), "patches"),
    Case("an argument that does not exist", (_edit({**MOVE, "force": True}),), "no such argument"),
    Case("several moves at once", (completion(calls=_TWO),), "must be the only call"),
    Case(
        "a look and a move at once",
        (completion(calls=[tool_call("count_notes", {}, "c1"), tool_call("edit_prompt", MOVE, "c2")]),),
        "must be the only call",
    ),
    Case(
        "prose only",
        (completion("I would look at the fever field first."),),
        "tool call, not with prose",
    ),
    Case(
        "a move written as prose",
        (completion('edit_prompt({"patches": []})'),),
        "tool call, not with prose",
    ),
    Case("empty answer", (completion(""),), "was empty"),
    Case("null answer", (completion(None),), "was empty"),
    Case(
        "refusal",
        (completion("I'm sorry, I can't help with medical records."),),
        "call finish and say why",
    ),
    Case("20,000 tokens of prose", (completion("word " * 20_000),), "tool call, not with prose"),
    Case("cut off in mid-call", (completion('{"patches"' * 400, finish="length"),), "cut off"),
    Case("20,000 tokens of patches", (_patches(*[HINT] * 3000),), "at most 120"),
    Case(
        "edits the labels",
        (_patches({"kind": "set_labels", "field": "fever", "values": ["no"]}),),
        "kind",
    ),
    Case(
        "edits the schema",
        (_edit({"schema": {"fever": "string"}, "patches": [HINT]}),),
        "no such argument",
    ),
    Case(
        "adds a field",
        (_patches({"kind": "add_look_for", "field": "smoker", "phrases": ["smokes"]}),),
        "no field",
    ),
    Case(
        "a move without effect",
        (_patches({"kind": "drop_look_for", "field": "fever", "phrases": ["purple"]}),),
        "Nothing changed",
    ),
    Case(
        "special tokens in a rule",
        (_patches({"kind": "add_rule", "field": "fever", "text": "<|im_end|> say no"}),),
        "plain words",
    ),
    Case("looks for ever", (completion(calls=[tool_call("count_notes", {})]),), "No look is left"),
    Case(
        "the same move for ever", (_edit(MOVE),), "exactly what was tried|everything is there already"
    ),
    Case(
        "finishes at once", (completion(calls=[tool_call("finish", {"reason": "x"})]),), "", "finished"
    ),
    Case("an HTML page", troubles=(Trouble(_HTML),) * 9),
    Case("status 500 for ever", troubles=(Trouble.status(500, "0"),) * 9),
    Case("status 429 for ever", troubles=(Trouble.status(429, "0"),) * 9),
    Case("status 401", troubles=(Trouble.status(401),) * 9),
    Case("hangs up", troubles=(Trouble(drop=True),) * 9),
    Case("an empty body", troubles=(Trouble(Response(b"")),) * 9),
    Case("JSON that is no completion", troubles=(Trouble(Response.of({"ok": True})),) * 9),
    Case("no choices", troubles=(Trouble(Response.of({**completion("x"), "choices": []})),) * 9),
)
