"""``openai:``: servers that cut a prompt without a word, or answer for another model, are found out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from preceptor.agents.servers.openai import OpenAIServer, completion, from_schema
from preceptor.agents.servers.scripted import Body, tokens
from preceptor.agents.students import StudentOptions
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.agents.students.served_as import ServedAs, alike
from preceptor.core import render
from preceptor.core.errors import StudentError
from preceptor.core.fields import LabelField
from preceptor.core.records import Call, Decoding, Example, ModelRef, Prompt, Recipe, Reply

PAIN = LabelField(name="pain", values=("present", "absent"))
TEXTS = {
    "en": "He reports mild discomfort after the last visit and sleeps well. ",
    "ru": "Пациентка отмечает умеренную слабость, тошноту и головокружение. ",
    "hi": "मरीज ने पिछली मुलाकात के बाद हल्की थकान बताई है। ",
    "blanks": "Sodium" + " " * 60 + "140" + " " * 40 + "mmol/l\n" + "-" * 60 + "\n",
    "numbers": "4.1 102/24 7.41 38.2 92 ",
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as made:
        yield made


def calls(*notes: Example, prompt: Prompt | None = None) -> list[Call]:
    recipe = Recipe(
        model=ModelRef(spec="any"), decoding=Decoding(max_tokens=24), prompt=prompt or Prompt()
    )
    return [call for note in notes for call in render.calls(recipe, (PAIN,), note)]


def note(name: str, text: str) -> Example:
    return Example(id=name, group=name, text=text)


def student_of(server: OpenAIServer, name: str = "scripted") -> OpenAIStudent:
    return OpenAIStudent(name, server.base_url, StudentOptions(timeout=5.0, retries=0, parallel=2))


def ask(server: OpenAIServer, *notes: Example) -> list[Reply]:
    return sorted(student_of(server).complete(calls(*notes)), key=lambda r: r.key)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_notes_that_a_server_cut_are_not_ok_and_those_that_fit_are(
    server: OpenAIServer, text: str
) -> None:
    """Whatever the script: no figure known in advance tells a cut prompt from a dense one."""
    server.cuts_to = 1000
    each = len(tokens(text))
    fit = [note(f"a{i}", text * (400 // each + i)) for i in range(5)]
    cut = [note(f"b{i}", text * (1500 // each + i)) for i in range(5)]
    assert [r.status for r in ask(server, *fit, *cut)] == ["ok"] * 5 + ["truncated"] * 5


def test_scripts_may_change_from_note_to_note(server: OpenAIServer) -> None:
    notes = [note(f"n{i}", list(TEXTS.values())[i % 5] * (20 + i)) for i in range(30)]
    assert {r.status for r in ask(server, *notes)} == {"ok"}


def test_counting_in_parts_is_rare(server: OpenAIServer) -> None:
    notes = [note(f"n{i}", TEXTS["en"] * (20 + i * 7 % 30)) for i in range(60)]
    assert {r.status for r in ask(server, *notes)} == {"ok"}
    assert len(server.asked) < 60 * 1.5


def test_a_server_that_tells_its_context_refuses_by_itself() -> None:
    with OpenAIServer(models={"scripted": 4096}) as server:
        assert {
            r.status for r in ask(server, *(note(f"n{i}", TEXTS["en"] * 40) for i in range(4)))
        } == {"ok"}
        assert len(server.asked) == 4


def test_a_prompt_that_does_not_fit_even_without_a_note_stops_with_one_line() -> None:
    prompt = Prompt(instruction="Read the note with care. " * 200)
    with OpenAIServer(models={"scripted": 256}) as server:
        with pytest.raises(StudentError, match=r"does not fit the context .* without any note"):
            list(student_of(server).complete(calls(note("n", "Well."), prompt=prompt)))
        [short, long] = ask(server, note("a", "Well."), note("b", TEXTS["en"] * 60))
    assert (short.status, long.status) == ("ok", "truncated")
    assert long.error == "the note is too long for the model"


def named(name: str) -> Body:
    return completion('{"pain": "absent"}', model=name)


def test_another_model_s_answers_are_not_counted() -> None:
    with OpenAIServer([named("big")], models={"small": None, "big": None}) as server:
        with pytest.raises(StudentError, match="answers as 'big', not as 'small'"):
            list(student_of(server, "small").complete(calls(note("n", "Well."))))


def test_a_model_that_changes_on_the_way_stops_the_run() -> None:
    """A server with one model may call it anything, but not by two names."""
    with OpenAIServer([named("models/a.gguf"), named("models/b.gguf")]) as server:
        replies = student_of(server, "whatever").complete(calls(note("n", "Well."), note("m", "Ill.")))
        with pytest.raises(StudentError, match="now answers as"):
            list(replies)
    with OpenAIServer([named("models/a.gguf")] * 2) as server:
        found = student_of(server, "whatever").complete(calls(note("n", "Well."), note("m", "Ill.")))
        assert {r.status for r in found} == {"ok"}


@pytest.mark.parametrize(
    ("asked", "answered", "fine"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("qwen2.5:1.5b", "qwen2.5:1.5b", True),
        ("Qwen/Qwen2.5-1.5B", "qwen2.5-1.5b", True),
        ("SmolLM2.Q4_1", "/models/SmolLM2.Q4_1.gguf", True),
        ("meta/llama-3.1-8b:free", "meta/llama-3.1-8b", True),
        ("qwen2.5-7b", "qwen2.5-7b-instruct", False),
        ("smollm2:135m", "smollm2:360m", False),
    ],
)
def test_names_that_mean_one_model(asked: str, answered: str, fine: bool) -> None:
    assert alike(asked, answered) == fine
    one = ServedAs(asked, [asked, "other"])
    if fine:
        one.check(answered)
    else:
        with pytest.raises(StudentError):
            one.check(answered)


def test_a_server_that_names_nothing_is_taken_at_its_word() -> None:
    def bare(body: Body) -> Body:
        return {k: v for k, v in from_schema(body).items() if k != "model"}

    with OpenAIServer([bare], models={"small": None, "big": None}) as server:
        [reply] = student_of(server, "small").complete(calls(note("n", "Well.")))
    assert reply.status == "ok"
