import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.core.cache import AnswerCache, answer_key, example_key
from preceptor.core.errors import StoreError
from preceptor.core.fields import LabelField
from preceptor.core.records import Answer, Decoding, Example, ModelRef, Recipe

REF = ModelRef(spec="scripted", digest="d1")
RECIPE = Recipe(model=REF)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
ANSWERS = st.builds(
    Answer,
    example_id=TEXT,
    record=st.none() | st.dictionaries(TEXT, TEXT | st.lists(TEXT, max_size=2), max_size=3),
    status=st.sampled_from(["ok", "invalid", "truncated"]),
    problems=st.dictionaries(TEXT, st.sampled_from(["invalid", "truncated"]), max_size=2),
    raw=st.lists(TEXT, max_size=3).map(tuple),
    prompt_tokens=st.none() | st.integers(0, 10**6),
    completion_tokens=st.none() | st.integers(0, 10**6),
    calls=st.integers(0, 20),
    seconds=st.floats(0, 1e6),
)

WRITER = """
import sys
from pathlib import Path
from preceptor.core.cache import AnswerCache
from preceptor.core.records import Answer
me = sys.argv[2]
with AnswerCache(Path(sys.argv[1])) as cache:
    for start in range(0, 2000, 50):
        cache.put_many("r", {
            str(i): Answer(example_id=str(i), record={"who": me}, raw=(me,))
            for i in range(start, start + 50)
        })
        held = cache.get_many("r", [str(start)])
        assert held[str(start)].raw[0] in "abc"
"""


def answer(i: int, said: str = "present") -> Answer:
    return Answer(example_id=str(i), record={"pain": said}, raw=(said,))


def test_what_is_put_comes_back_and_nothing_else(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "c") as cache:
        cache.put_many("r1", {"a": answer(1), "b": answer(2)})
        assert cache.get_many("r1", ["a", "b", "c"]) == {"a": answer(1), "b": answer(2)}
        assert cache.get_many("r2", ["a"]) == {}
        assert cache.get_many("r1", []) == {}
    with AnswerCache(tmp_path / "c") as again:
        assert again.get_many("r1", ["a"]) == {"a": answer(1)}


@given(st.lists(ANSWERS, min_size=1, max_size=5))
def test_any_answer_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, answers: list[Answer]
) -> None:
    by_key = {str(i): one for i, one in enumerate(answers)}
    with AnswerCache(tmp_path_factory.getbasetemp() / "any.sqlite") as cache:
        key = answers[0].fingerprint + str(len(cache))
        cache.put_many(key, by_key)
        assert cache.get_many(key, list(by_key)) == by_key


def test_the_first_committed_answer_stays(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "c") as cache:
        cache.put_many("r", {"a": answer(1, "present")})
        cache.put_many("r", {"a": answer(1, "absent"), "b": answer(2, "absent")})
        got = cache.get_many("r", ["a", "b"])
    assert [got[key].raw for key in "ab"] == [("present",), ("absent",)]


def test_a_failed_answer_is_asked_again(tmp_path: Path) -> None:
    failed = Answer(example_id="1", record=None, status="failed", problems={"pain": "failed"})
    with AnswerCache(tmp_path / "c") as cache:
        cache.put_many("r", {"a": failed, "b": failed.model_copy(update={"status": "invalid"})})
        assert set(cache.get_many("r", ["a", "b"])) == {"b"}


def test_thousands_of_keys_in_one_call(tmp_path: Path) -> None:
    many = {str(i): answer(i) for i in range(2500)}
    with AnswerCache(tmp_path / "c") as cache:
        cache.put_many("r", many)
        assert cache.get_many("r", list(many)) == many
        assert len(cache) == 2500


def test_three_processes_share_one_new_file(tmp_path: Path) -> None:
    path = tmp_path / "c"
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), who]) for who in "abc"]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    with AnswerCache(path) as cache:
        got = cache.get_many("r", [str(i) for i in range(2000)])
    assert len(got) == 2000
    for i in range(0, 2000, 50):
        batch = {got[str(j)].raw for j in range(i, i + 50)}
        assert len(batch) == 1, "a batch is one transaction"


def test_threads_share_one_cache(tmp_path: Path) -> None:
    problems: list[BaseException] = []
    with AnswerCache(tmp_path / "c") as cache:

        def work(who: int) -> None:
            try:
                for i in range(30):
                    cache.put_many(f"r{who}", {str(i): answer(i)})
                    assert len(cache.get_many(f"r{who}", [str(j) for j in range(30)])) == i + 1
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert len(cache) == 120


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from preceptor.core.database import transaction\n"
        "from preceptor.core.cache import AnswerCache\n"
        "cache = AnswerCache(Path(sys.argv[1])); c = cache._connection\n"
        "with transaction(c):\n"
        "    c.execute(\"INSERT INTO answers VALUES ('r', 'half', '{}')\")\n"
        "    os.kill(os.getpid(), 9)"
    )
    with AnswerCache(tmp_path / "c") as cache:
        cache.put_many("r", {"a": answer(1)})
        child = subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], timeout=60)
        assert child.returncode == -9
        cache.put_many("r", {"b": answer(2)})
        assert set(cache.get_many("r", ["a", "b", "half"])) == {"a", "b"}


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c"
    AnswerCache(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(StoreError, match=r"version 99, this program knows up to 1.*newer preceptor"):
        AnswerCache(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text("the patient denies pain " * 100)
    with pytest.raises(StoreError, match=r"not a database.*damaged"):
        AnswerCache(path)
    with pytest.raises(StoreError, match="check that the folder exists"):
        AnswerCache(tmp_path / "missing" / "c")


def test_a_damaged_answer_is_an_error_that_quotes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with AnswerCache(path) as cache:
        cache._connection.execute("INSERT INTO answers VALUES ('r', 'a', '{\"pain\": 1}')")
        with pytest.raises(StoreError, match="damaged answer") as caught:
            cache.get_many("r", ["a"])
    assert "pain" not in str(caught.value)


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    cache.close()
    cache.close()
    with pytest.raises(StoreError):
        cache.put_many("r", {"a": answer(1)})


def test_whatever_changes_what_is_asked_changes_the_key() -> None:
    pain = LabelField(name="pain", values=("present", "absent"))
    keys = [
        answer_key(RECIPE, REF),
        answer_key(RECIPE.model_copy(update={"mode": "joint"}), REF),
        answer_key(RECIPE.model_copy(update={"decoding": Decoding(seed=1)}), REF),
        answer_key(RECIPE, ModelRef(spec="scripted", digest="d2")),
        answer_key(RECIPE, REF, (pain,)),
        answer_key(RECIPE, REF, (pain.model_copy(update={"values": ("yes", "no")}),)),
    ]
    assert len(set(keys)) == len(keys)
    assert answer_key(Recipe.from_json(RECIPE.to_json()), REF) == keys[0]


def test_the_renderer_and_the_parser_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {answer_key(RECIPE, REF)}
    for name in ("RENDER_VERSION", "PARSE_VERSION"):
        monkeypatch.setattr(f"preceptor.core.cache.{name}", 1000)
        keys.add(answer_key(RECIPE, REF))
    assert len(keys) == 3


def test_a_note_is_named_by_id_and_text_only() -> None:
    note = Example(id="1", group="g", text="t", gold={"pain": "present"}, meta={"a": 1})
    same = Example(id="1", group="h", text="t")
    assert example_key(note) == example_key(same)
    others = [note, note.model_copy(update={"id": "2"}), note.model_copy(update={"text": "u"})]
    assert len({example_key(one) for one in others}) == 3


def test_opening_waits_for_someone_who_is_just_making_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(tmp_path / "c", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE other (a)")
    waited = []

    def commit_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        other.close()

    monkeypatch.setattr("preceptor.core.database.time.sleep", commit_meanwhile)
    AnswerCache(tmp_path / "c").close()
    assert len(waited) == 1
