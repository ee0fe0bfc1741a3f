"""No prompt is cut silently: the server of these tests cuts as a real one does."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from preceptor.agents.servers.fitting import option
from preceptor.agents.servers.ollama import OllamaServer, from_format
from preceptor.agents.servers.scripted import Body, Response, Trouble, prompt_text, tokens
from preceptor.agents.students import StudentOptions
from preceptor.agents.students.ollama import OllamaStudent
from preceptor.core import render
from preceptor.core.errors import StudentError
from preceptor.core.fields import LabelField
from preceptor.core.records import Call, Decoding, Example, Message, ModelRef, Prompt, Recipe, Reply

PAIN = LabelField(name="pain", values=("present", "absent", "unknown"))
SMALL = Decoding(max_tokens=24)
MIDDLE = "In the middle of it all: the pain is gone."
NEW, OLD = "0.30.0", "0.11.4"


def sees(body: Body) -> str:
    """Answer as a model does that finds the sentence only if it is shown it."""
    return f'{{"pain": "{"absent" if MIDDLE in prompt_text(body) else "unknown"}"}}'


def serve(
    version: str = NEW, context: int = 32768, answer: Callable[[Body], str | Body] = sees
) -> OllamaServer:
    server = OllamaServer(answer, models={"small": context})
    server.version = version
    return server


def table(rows: int, name: str = "n") -> Example:
    """Return a laboratory table of signs and digits, with a sentence in its middle."""
    drawn = random.Random(name)
    lines = [
        " ".join(
            f"{drawn.randint(1, 9)}.{drawn.randint(0, 9)}/{drawn.randint(1, 9)}" for _ in range(12)
        )
        for _ in range(rows)
    ]
    lines.insert(rows // 2, MIDDLE)
    return Example(id=name, group=name, text="\n".join(lines))


def calls(*notes: Example, decoding: Decoding = SMALL, prompt: Prompt | None = None) -> list[Call]:
    recipe = Recipe(model=ModelRef(spec="any"), decoding=decoding, prompt=prompt or Prompt())
    return [call for note in notes for call in render.calls(recipe, (PAIN,), note)]


def ask(server: OllamaServer, *notes: Example, **options: int) -> list[Reply]:
    student = student_of(server, **options)
    return sorted(student.complete(calls(*notes)), key=lambda r: r.key)


def student_of(server: OllamaServer, **options: int) -> OllamaStudent:
    made = StudentOptions(timeout=5.0, retries=1, base_url=server.url, parallel=2)
    return OllamaStudent("small", replace(made, **options))  # type: ignore[arg-type]


def windows(server: OllamaServer) -> list[int]:
    return [option(body, "num_ctx") or 0 for body in server.asked]


def test_a_table_with_a_token_for_each_sign_is_read_whole() -> None:
    """At two bytes for a token the window would hold half of it, the answer be wrong and ``ok``."""
    with serve() as server:
        replies = ask(server, *(table(60, f"n{i}") for i in range(4)))
    assert {(r.status, r.raw) for r in replies} == {("ok", '{"pain": "absent"}')}


def test_a_window_that_was_guessed_too_small_costs_a_refusal_and_never_an_answer() -> None:
    # A run of one sign is guessed to be a few tokens; for this server each sign is one.
    note = Example(id="n", group="n", text=("-=" * 10 + "~" * 4000) + MIDDLE)
    with serve() as server:
        [reply] = ask(server, note)
    sizes = windows(server)
    assert (reply.status, reply.raw) == ("ok", '{"pain": "absent"}')
    assert sizes[0] < 4000 <= sizes[-1]
    assert sizes == sorted(sizes)


def test_a_note_that_is_too_long_for_the_model_is_refused_and_says_so() -> None:
    with serve(context=2048) as server:
        short, long = ask(server, Example(id="a", group="a", text=MIDDLE), table(120, "b"))
        assert short.status == "ok"
        assert (long.status, long.raw) == ("truncated", "")
        assert "too long for the model, which reads 2,048 tokens" in long.error
        assert max(windows(server)) == 2048


def test_a_window_set_by_hand_is_kept() -> None:
    with serve() as server:
        [reply] = ask(server, table(60), num_ctx=512)
        assert reply.status == "truncated"
        assert set(windows(server)) == {512}


def test_a_prompt_that_does_not_fit_even_without_a_note_stops_with_one_line() -> None:
    prompt = Prompt(instruction="Read the note with care. " * 400)
    with serve(context=1024) as server, pytest.raises(StudentError) as error:
        list(student_of(server).complete(calls(table(1), prompt=prompt)))
    assert "does not fit without any note: ollama:small reads 1,024 tokens" in error.value.message
    assert error.value.hint


def test_an_answer_that_fills_the_window_is_asked_again_with_a_wider_one() -> None:
    """What is written past the window is written with a part of the prompt forgotten."""
    said = '{"pain": "absent"}' + " ." * 120
    with serve(answer=lambda _: said) as server:
        student = student_of(server)
        student._window._size = 128  # As if a prompt had been guessed to be so short.
        student._window.fit = lambda needed: None  # type: ignore[method-assign]
        [reply] = student.complete(
            calls(Example(id="n", group="n", text=MIDDLE), decoding=Decoding(max_tokens=400))
        )
        assert (reply.status, reply.raw) == ("ok", said)
        assert windows(server)[0] == 128
        assert windows(server)[-1] > 128


def test_windows_are_learned_from_what_the_server_counted() -> None:
    """Words are one token each for this server, fewer than are guessed: the next window is smaller."""

    def prose(name: str, words: int) -> Example:
        return Example(id=name, group=name, text="considerable discomfort " * words)

    with serve() as server:
        fresh = student_of(server)
        guessed = fresh._sizes.estimate(calls(prose("b", 2000))[0].messages)
        list(fresh.complete(calls(prose("a", 100))))
        learned = fresh._sizes.estimate(calls(prose("b", 2000))[0].messages)
    assert 4000 <= learned < 0.6 * guessed


def test_windows_are_counted_with_the_model_s_own_tokenizer_where_it_is_here() -> None:
    """The embedded student's has a token for each byte of Cyrillic: twice what is guessed."""
    from preceptor import nano

    pytest.importorskip("tokenizers")
    note = Example(id="n", group="n", text="слабость " * 200)
    with serve() as server:
        made = StudentOptions(base_url=server.url, counts=nano.path())
        [_] = OllamaStudent("small", made).complete(calls(note))
        [_] = ask(server, note)
    assert windows(server) == [4096, 2048]


@pytest.mark.parametrize("version", [NEW, "0.34.0", OLD, "0.0.0", ""])
@pytest.mark.parametrize(
    "text",
    [
        "Пациентка отмечает умеренную слабость, тошноту и головокружение. " * 60,
        "मरीज ने पिछली मुलाकात के बाद हल्की थकान बताई है। " * 60,
        ("Sodium" + " " * 40 + "140" + " " * 20 + "mmol/l\n" + "-" * 80 + "\n") * 40,
        "Schwindelgefühl, Übelkeit; Oberbauchschmerzen rechts. " * 60,
    ],
    ids=["ru", "hi", "blanks", "de"],
)
def test_scripts_with_many_bytes_for_a_token_are_not_called_cut(version: str, text: str) -> None:
    notes = [Example(id=f"n{i}", group="g", text=text[i:] + MIDDLE) for i in range(12)]
    with serve(version) as server:
        replies = ask(server, *notes)
    assert {(r.status, r.raw) for r in replies} == {("ok", '{"pain": "absent"}')}


@pytest.mark.parametrize("version", [OLD, "0.0.0"])
def test_a_server_that_passes_over_the_parameter_is_caught_by_its_counts(version: str) -> None:
    """Some notes fit and some do not; of those that do not, none is ``ok``."""
    fit = [table(2 + i, f"a{i}") for i in range(6)]
    long = [table(90 + i, f"b{i}") for i in range(6)]
    with serve(version, context=4096) as server:
        # A server that was built without a version may be as old.
        server.passes_over_truncate = True
        replies = ask(server, *fit, *long)
    assert [r.status for r in replies] == ["ok"] * 6 + ["truncated"] * 6
    assert {r.raw for r in replies[:6]} == {'{"pain": "absent"}'}


def test_example_turns_that_an_old_server_drops_are_missed() -> None:
    """A chat whose earliest turns are dropped has a count under the window, and ends with ``stop``."""
    turns = [Message("system", "Read the note.")]
    for i in range(6):
        turns += [Message("user", f"note {i} " + "mild pain " * 60), Message("assistant", "absent")]
    turns.append(Message("user", "And now? " + MIDDLE))
    call = Call("n", (PAIN,), tuple(turns), SMALL)
    with serve(OLD, context=512) as server:
        [reply] = student_of(server).complete([call])
    assert reply.status == "truncated"
    with serve(NEW, context=512) as server:
        [reply] = student_of(server).complete([call])
    assert reply.status == "truncated"


def test_a_window_that_the_server_has_no_memory_for_is_given_up() -> None:
    with serve() as server:
        server.memory = 2048
        student = student_of(server)
        [short] = student.complete(calls(Example(id="a", group="a", text=MIDDLE)))
        [long] = student.complete(calls(table(80, "b")))
        [after] = student.complete(calls(Example(id="c", group="c", text=MIDDLE)))
    assert (short.status, after.status) == ("ok", "ok")
    assert (long.status, "no memory for a window" in long.error) == ("failed", True)


def test_newer_engines_tell_the_tokens_and_are_believed() -> None:
    words = (
        '{"error":{"code":400,"message":"request (9001 tokens) exceeds the available context size '
        '(2048 tokens), try increasing it","type":"exceed_context_size_error",'
        '"n_prompt_tokens":9001,"n_ctx":2048}}'
    )
    with OllamaServer(
        models={"small": 32768}, troubles=[Trouble(Response.of({"error": words}, 400))]
    ) as server:
        [reply] = ask(server, Example(id="n", group="n", text=MIDDLE))
    assert reply.status == "ok"
    assert windows(server) == [2048, 10240]


def test_another_model_s_answers_are_not_counted() -> None:
    with serve() as server:
        student = student_of(server)
        server.answers_as = "other:1b"
        with pytest.raises(StudentError, match="answers as 'other:1b', not as 'small'"):
            list(student.complete(calls(table(1))))


def test_a_server_that_comes_back_with_another_model_is_noticed() -> None:
    broken = [None, Trouble(drop=True)]
    with OllamaServer(from_format, models={"small": 4096}, troubles=broken) as server:
        student = student_of(server, parallel=1)
        replies = student.complete(calls(table(1, "a"), table(1, "b"), table(1, "c")))
        assert next(replies).status == "ok"
        server.digests["small:latest"] = "f" * 64
        with pytest.raises(StudentError, match="another model under the name 'small'"):
            list(replies)
    with OllamaServer(from_format, models={"small": 4096}, troubles=broken) as server:
        assert {r.status for r in ask(server, table(1, "a"), table(1, "b"), parallel=1)} == {"ok"}


LIVE = os.environ.get("PRECEPTOR_OLLAMA_URL", "")
MODEL = os.environ.get("PRECEPTOR_OLLAMA_MODEL", "smollm2:135m")


@pytest.mark.live
@pytest.mark.skipif(not LIVE, reason="PRECEPTOR_OLLAMA_URL names no server")
def test_a_real_server_cuts_nothing() -> None:
    """A table whose tokens are signs is read whole, and one beyond the model's context is refused."""
    student = OllamaStudent(MODEL, StudentOptions(base_url=LIVE, parallel=1, timeout=300.0))
    context = student.context or 8192
    [fits, over] = student.complete(calls(table(30, "a"), table(context // 40, "b")))
    assert (fits.status, (fits.prompt_tokens or 0) > len(tokens(table(30, "a").text)) // 2) == (
        "ok",
        True,
    )
    assert over.status == "truncated"
    assert "too long for the model" in over.error
    turns = [Message("user", "mild pain " * 40), Message("assistant", "absent")] * (context // 60)
    [dropped] = student.complete([Call("t", (PAIN,), (*turns, Message("user", "And now?")), SMALL)])
    assert dropped.status == "truncated"
    student.close()


@pytest.mark.live
@pytest.mark.skipif(not LIVE, reason="PRECEPTOR_OLLAMA_URL names no server")
@pytest.mark.parametrize("spelt", ["upper", "library/", "registry.ollama.ai/library/"])
def test_a_real_server_takes_every_spelling(spelt: str) -> None:
    name = MODEL.upper() if spelt == "upper" else spelt + MODEL
    options = StudentOptions(base_url=LIVE, parallel=1, timeout=300.0)
    plain, other = OllamaStudent(MODEL, options), OllamaStudent(name, options)
    assert other.ref.digest == plain.ref.digest
    [reply] = other.complete(calls(table(1)))
    assert reply.status in ("ok", "truncated")
    plain.close()
    other.close()
