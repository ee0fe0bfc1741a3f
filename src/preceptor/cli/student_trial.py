"""What ``preceptor doctor`` says of a student: whether its answer to a schema can be read, and how.

Owns the words; what is asked is ``agents.students.trial``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from preceptor.cli.checks import Check
from preceptor.core.errors import PreceptorError
from preceptor.core.settings import Settings, masked

if TYPE_CHECKING:
    from preceptor.agents.students.trial import Trial
    from preceptor.core.ports import Student

LEAST_CONTEXT = 1024
"""Tokens; a note of two pages and its prompt do not fit in fewer."""

SHOWN = 60
"""Characters of an answer."""

SERVED = ("ollama", "openai")


def student(spec: str, chosen: Settings) -> list[Check]:
    """Try a student; the first check says whether it can be used at all."""
    from preceptor.agents import students
    from preceptor.agents.students import trial
    from preceptor.core.records import ModelRef

    try:
        options = students.StudentOptions(
            models=chosen.models_dir, timeout=chosen.timeouts.student, keys=chosen.api_key_env
        )
        made = students.make(ModelRef.asked(spec, chosen.precision), options=options)
        try:
            found = trial.tried(made)
        finally:
            made.close()
    except PreceptorError as error:
        return [Check(masked(spec), "missing", error.message, error.hint)]
    name = masked(spec)
    if found.reply.status == "failed":
        return [Check(name, "missing", found.reply.error, "check its URL and the server's log")]
    if not found.readable:
        ways = ", thinking aloud or not" if found.think != "auto" else ""
        said = f"its answer to a schema cannot be read{ways}: {_shown(found.reply.raw)}"
        return [Check(name, "missing", said, "another model, or a newer version of its server")]
    checks = [_answers(name, made, found)]
    return [*checks, _schema(found)] if spec.partition(":")[0] in SERVED else checks


def _shown(raw: str) -> str:
    return repr(raw if len(raw) <= SHOWN else raw[:SHOWN] + "…")


def _answers(name: str, made: Student, found: Trial) -> Check:
    thoughts = {"on": ", after thinking aloud", "off": ", told not to think aloud"}.get(found.think, "")
    said = f"answers {_shown(found.reply.raw)}{thoughts}"
    if made.context is None:
        return Check(name, "ok", f"{said}, context unknown (the server's own limit)")
    short = made.context < LEAST_CONTEXT
    mend = "take a student with a longer context, or cut the notes into parts" if short else ""
    return Check(name, "note" if short else "ok", f"{said}, context {made.context} tokens", mend)


def _schema(found: Trial) -> Check:
    from preceptor.core.forced import MEND

    if found.schema == "forced":
        return Check("schema", "ok", "forced by the server")
    if found.schema == "unknown":
        return Check("schema", "note", "not known whether the server forces it", "try again")
    told = {"refused": "the server refuses it", "ignored": "the server does not force it"}
    said = f"{told[found.schema]}: nothing holds answers to their form"
    return Check("schema", "note", said, MEND)
