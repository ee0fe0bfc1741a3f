"""The words of the system as frozen values: examples, prompts, recipes, answers, findings.

Owns what passes between rooms. Behaviour lives elsewhere: rendering in ``core.render``, parsing in
``core.parse``, scoring in ``evals``, acceptance in ``graphs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, field_validator, model_serializer

from preceptor.core.blocked import Blocked
from preceptor.core.decoding import Decoding as Decoding
from preceptor.core.fields import FieldSpec
from preceptor.core.prospect import Prospect
from preceptor.core.record import Record
from preceptor.core.scores import Evaluation as Evaluation
from preceptor.core.scores import Interval as Interval
from preceptor.core.scores import Scored as Scored
from preceptor.core.spelling import nfc
from preceptor.core.weights import AdapterRef as AdapterRef
from preceptor.core.weights import ModelRef as ModelRef
from preceptor.core.weights import Precision as Precision

Gold = dict[str, JsonValue]
"""One value per field name: what an Example says, or what a student said."""

Status = Literal["ok", "invalid", "truncated", "failed"]
"""What became of an answer, from best to worst."""

Split = Literal["train", "dev", "test"]


class Example(Record):
    """One note.

    Attributes:
        id: Unique in its task.
        group: The patient; notes of one group never stand in two splits.
        text: The note, in Unicode's composed form (NFC).
        gold: The right answer, or None where it is not known. A field that is left out of it, or
            null, is not scored.
        meta: Anything else a loader wants to keep (never shown to a student).
    """

    id: str
    group: str
    text: str
    gold: Gold | None = None
    meta: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("text")
    @classmethod
    def _composed(cls, text: str) -> str:
        return nfc(text)

    @field_validator("gold")
    @classmethod
    def _known(cls, gold: Gold | None) -> Gold | None:
        if not gold or None not in gold.values():
            return gold
        return {name: value for name, value in gold.items() if value is not None} or None


class Guide(Record):
    """What a prompt says about one field, in words that a teacher may edit.

    Attributes:
        meaning: A definition.
        look_for: Phrases that count as a mention of the field («Look for:»).
        rules: Numbered rules, in order.
    """

    meaning: str = ""
    look_for: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class Prompt(Record):
    """The words of a prompt.

    Attributes:
        instruction: The opening of the system message.
        rules: Numbered rules for all fields, in the system message.
        guides: One guide per field name; a missing one is an empty one.
    """

    instruction: str = "Read the note and fill in the field. Answer in JSON."
    rules: tuple[str, ...] = ()
    guides: dict[str, Guide] = Field(default_factory=dict)

    def guide(self, field: str) -> Guide:
        """Return the guide of ``field``, an empty one if there is none."""
        return self.guides.get(field) or Guide()


class Shot(Record):
    """One worked example.

    Attributes:
        example_id: The train note it comes from.
        group: That note's patient.
        text: The sentence, or the whole note.
        answer: The right values: of one field (a sentence with its label) or of several.
        reason: Why, in a few words; shown if it is there.
    """

    example_id: str
    group: str
    text: str
    answer: Gold
    reason: str = ""


class IndexRef(Record):
    """Which index of worked examples is asked, and how its hits are shown.

    Attributes:
        digest: The content hash of the index artefact.
        k: The most hits per call.
        settings: What the retriever that wrote it needs to know.
    """

    digest: str
    k: int = Field(default=4, ge=1)
    settings: dict[str, JsonValue] = Field(default_factory=dict)


RENDER_VERSION = 5
"""Rises whenever a recipe made now would give another text than one made before.

Recipes name the version that they were made under, and keep its text; calls that ask one field are the
same since the oldest.
"""
OLDEST_TEXT = 3
"""The oldest version whose text can still be written."""


class Recipe(Record):
    """Everything about a student. A recipe in use is a student.

    Attributes:
        model: Which model answers.
        prompt: What it is told.
        mode: One call per field, or one call for all fields.
        shots: Fixed worked examples.
        index: Where further ones are retrieved, if anywhere.
        adapter: Trained weights, if any; where the model has a ``base``, they are in what is served.
        decoding: How an answer is sampled.
        render_version: Under which version its text was made.
    """

    model: ModelRef
    prompt: Prompt = Prompt()
    mode: Literal["per_field", "joint"] = "per_field"
    shots: tuple[Shot, ...] = ()
    index: IndexRef | None = None
    adapter: AdapterRef | None = None
    decoding: Decoding = Decoding()
    render_version: int = Field(default=RENDER_VERSION, ge=OLDEST_TEXT, le=RENDER_VERSION)

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out the version where all have the same text, so that hashes stay what they were."""
        made: dict[str, object] = handler(self)
        if self.mode == "per_field":
            del made["render_version"]
        return made


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message; ``role`` is system, user or assistant."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a student.

    Attributes:
        example_id: The note that is asked about.
        fields: What is asked.
        messages: The rendered prompt.
        decoding: How to sample.
        source: The note as the messages have it: what copied items are pieces of.
    """

    example_id: str
    fields: tuple[FieldSpec, ...]
    messages: tuple[Message, ...]
    decoding: Decoding
    source: str = ""

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What names this call among the calls of one recipe: (note, field names)."""
        return self.example_id, tuple(f.name for f in self.fields)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one Call, unparsed.

    Attributes:
        key: The call's key.
        raw: The text, as it came.
        status: ``ok`` if the text is whole; ``truncated`` if prompt or answer was cut off;
            ``failed`` if no text came (then ``error`` says why, without quoting the note).
        prompt_tokens: As the backend counted them, None if it does not say.
        completion_tokens: Likewise.
        seconds: Wall time of this call, or its share of a batch.
        error: Why it failed.
        probability: That the student gives this answer and no other that was allowed; None if the
            backend does not say.
        unforced: Whether the server refused the schema, and was asked without.
    """

    key: tuple[str, tuple[str, ...]]
    raw: str
    status: Literal["ok", "truncated", "failed"] = "ok"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    error: str = ""
    probability: float | None = None
    unforced: bool = False


class Answer(Record):
    """What a student said about one note, all calls together.

    Attributes:
        example_id: The note.
        record: One value per field that could be read; None if nothing could.
        status: The worst status among its fields.
        problems: For each field without a value: why (``invalid``, ``truncated``, ``failed``).
        raw: The texts as they came, one per call.
        prompt_tokens: Sum over calls; None if the backend does not say.
        completion_tokens: Likewise.
        calls: How many calls were made.
        dropped_hits: Retrieved examples that were left out so that the prompts fit the window.
        seconds: Wall time, or this note's share of a batch.
        confidence: The probability of each field's answer, for fields that were asked alone; None if
            the backend does not say.
        unforced: Whether the server refused the schema of one of the calls.
    """

    example_id: str
    record: Gold | None
    status: Status = "ok"
    problems: dict[str, Status] = Field(default_factory=dict)
    raw: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    calls: int = 1
    dropped_hits: int = 0
    seconds: float = 0.0
    confidence: dict[str, float] | None = None
    unforced: bool = False


FindingKind = Literal[
    "missed", "spurious", "wrong_value", "negation", "temporality", "experiencer", "boundary",
    "format", "truncated", "label_suspect", "constant_answer",
]  # fmt: skip


class Finding(Record):
    """A named group of a student's errors on train.

    Attributes:
        kind: What went wrong.
        field: Where.
        count: How many notes.
        total: Out of how many notes with a gold value for the field.
        example_ids: The notes, in order.
        cue: The phrase that the errors share, if one was found; of a closed list the value that they
            are about, with the phrase in brackets; of a constant answer, that answer.
        said_share: Of a constant answer: the share of answers that are the commonest one.
        gold_share: Likewise: the share of gold values that are gold's commonest one.
    """

    kind: FindingKind
    field: str
    count: int
    total: int
    example_ids: tuple[str, ...]
    cue: str = ""
    said_share: float | None = None
    gold_share: float | None = None


class ToolCall(Record):
    """One tool call of the teacher; ``args`` is as it came, not yet validated."""

    id: str
    name: str
    args: dict[str, JsonValue] = Field(default_factory=dict)


class Usage(Record):
    """Tokens of one teacher turn; None where the server does not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class TeacherTurn(Record):
    """What the teacher said.

    Attributes:
        message: The ``AIMessage``, as LangChain serialises it.
        text: Its prose.
        calls: Its tool calls.
        broken: Tool calls that were no JSON, as text.
        usage: What it cost.
        left_out: Which parts of what it is usually told were shortened or left out, to fit its model.
    """

    message: dict[str, JsonValue]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    broken: tuple[str, ...] = ()
    usage: Usage | None = None
    left_out: tuple[str, ...] = ()


class Attempt(Record):
    """A changing move that was tried, for the teacher's memory.

    Attributes:
        round: When.
        tool: Which tool.
        args: With which arguments.
        outcome: ``accepted``, ``pending``, ``rejected``, ``no_effect``, ``error``, or ``unfinished`` if
            the budget ended before the verdict.
        reason: Why, in one line.
        train_gain: The estimated gain on the held-out part of train, in points of [0, 1].
        fields: The same per field.
        phrases: Per field with several new phrases to look for, the share of each in that.
        dev_gain: The gain on dev, if dev was looked at.
        kept_with: The later round whose acceptance kept this pending move (``core.kept``).
    """

    round: int
    tool: str
    args: dict[str, JsonValue]
    outcome: Literal["accepted", "pending", "rejected", "no_effect", "error", "unfinished"]
    reason: str = ""
    train_gain: float | None = None
    fields: dict[str, float] = Field(default_factory=dict)
    phrases: dict[str, dict[str, float]] = Field(default_factory=dict)
    dev_gain: float | None = None
    kept_with: int | None = None


class Situation(Record):
    """What a teacher is told at the start of a round. Nothing in it comes from dev or test text.

    Attributes:
        round: From 1.
        rounds_left: After this one.
        looks_left: How often dev may still be looked at.
        score: The working recipe on the shown part of train.
        dev: The incumbent on dev (a number only).
        fields: Score per field on the shown part of train.
        findings: The errors, most frequent first.
        attempts: What was tried so far, in order.
        prospects: Calls of tools whose gain can be estimated from counts, best first.
        money: What is left of each limited resource (``dollars``, ``student_calls`` …).
        pending: Whether the working recipe carries changes that are not yet accepted.
        metric: What the scores are: ``accuracy`` (the mean score of a note's fields), ``macro_f1`` …
        blocked: The kinds of moves that cannot be made, or that their tools see nothing in.
    """

    round: int
    rounds_left: int
    looks_left: int
    score: Interval
    dev: Interval | None = None
    fields: dict[str, Interval] = Field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    prospects: tuple[Prospect, ...] = ()
    money: dict[str, float] = Field(default_factory=dict)
    pending: bool = False
    metric: str = "accuracy"
    blocked: tuple[Blocked, ...] = ()
