from pathlib import Path

import pytest

from preceptor.core.errors import InputError
from preceptor.core.settings import Settings, explain, load, secret


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Path:
    path = Path("my.toml")
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults_hold() -> None:
    settings = load(None, {"HOME": "/root"}, {})
    assert settings == Settings()
    assert settings.runs_dir == Path("runs")
    assert settings.data_dir is None
    assert settings.egress == "redacted"
    assert settings.budget.limits() == {}


def test_a_file_in_the_working_directory_is_read_without_being_named() -> None:
    Path("preceptor.toml").write_text("concurrency = 3")
    assert load(None, {}, {}).concurrency == 3


def test_options_win_over_environment_over_file_over_defaults() -> None:
    file = write(
        'student = "file"\nteacher = "file"\nruns_dir = "file"\n'
        "[budget]\ndollars = 1\nstudent_calls = 10\nwall_seconds = 60\n"
    )
    environ = {
        "PRECEPTOR_TEACHER": "env",
        "PRECEPTOR_RUNS_DIR": "env",
        "PRECEPTOR_BUDGET__DOLLARS": "2",
        "PRECEPTOR_BUDGET__STUDENT_CALLS": "20",
        "PRECEPTOR_DATA": "/data",
    }
    settings = load(file, environ, {"runs_dir": "option", "budget.dollars": "3.5"})
    assert (settings.student, settings.teacher) == ("file", "env")
    assert settings.runs_dir == Path("option")
    assert settings.data_dir == Path("/data")
    assert settings.budget.limits() == {"dollars": 3.5, "student_calls": 20, "wall_seconds": 60}


def test_prices_can_be_set_for_names_with_dots() -> None:
    file = write('[prices."my-model"]\ninput = 1\noutput = 2\n')
    options = {'prices."gpt-4.1".input': "1", 'prices."gpt-4.1".output': "1"}
    table = load(file, {}, options).price_table()
    assert table.cost("gpt-4.1", 1_000_000, 1_000_000) == 2
    assert table.cost("my-model", 1_000_000, 1_000_000) == 3
    with pytest.raises(InputError, match=r"gpt-4\.1\.output: Field required"):
        load(None, {}, {'prices."gpt-4.1".input': "1"})


def test_faces_are_named_by_what_ollama_calls_the_model() -> None:
    file = write('[faces]\n"qwen2.5:1.5b" = "/file"\n"mine:latest" = "/mine"\n')
    options = {'faces."qwen2.5:1.5b"': "/option"}
    environ = {"PRECEPTOR_FACES__OTHER": "/variable"}
    found = load(file, environ, options).faces
    assert found == {
        "qwen2.5:1.5b": Path("/option"), "mine:latest": Path("/mine"), "other": Path("/variable"),
    }  # fmt: skip
    shown = {one.key: (one.value, one.origin, one.where) for one in explain(file, environ, options)}
    assert shown['faces."qwen2.5:1.5b"'] == ("/option", "option", '--set faces."qwen2.5:1.5b"')
    assert shown['faces."mine:latest"'] == ("/mine", "file", "my.toml")
    assert shown["faces.other"] == ("/variable", "variable", "PRECEPTOR_FACES__OTHER")
    with pytest.raises(InputError, match=r"my.toml: faces.x: "):
        load(write("[faces]\nx = 3"), {}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("concurency = 3", r"unknown key 'concurency' .known: api_key_env, budget, concurrency"),
        ("[budget]\ndolars = 3", r"my.toml: unknown key 'budget.dolars' .known: compute_seconds"),
        ("concurrency = 0", r"my.toml: concurrency: .*greater than or equal to 1"),
        ('egress = "all"', r"my.toml: egress: "),
        ("budget = 5", r"my.toml: budget: "),
        ("[budget]\ndollars = -1", r"my.toml: budget.dollars: "),
        ("concurrency = \nstudent = 1", r"my.toml: no TOML: .*line 1"),
        ('api_key = "sk-123"', r"my.toml: api_key: a secret is no setting"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(write(text), {}, {})
    assert "sk-123" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_variable_or_option_is_named() -> None:
    with pytest.raises(InputError, match=r"PRECEPTOR_BUDGET__DOLARS: unknown key 'budget.dolars'"):
        load(None, {"PRECEPTOR_BUDGET__DOLARS": "1"}, {})
    with pytest.raises(InputError, match=r"--set budget.dollars: budget.dollars: "):
        load(write("[budget]\ndollars = 1"), {}, {"budget.dollars": "much"})
    with pytest.raises(InputError, match=r"--set studnet: unknown key 'studnet'"):
        load(None, {}, {"studnet": "x"})
    with pytest.raises(InputError, match=r"--set a b: no key"):
        load(None, {}, {"a b": "x"})
    with pytest.raises(InputError, match=r"--set student.name: 'student' has no parts"):
        load(write('student = "x"'), {}, {"student.name": "x"})


def test_a_file_that_is_not_there_or_no_text_is_said() -> None:
    with pytest.raises(InputError, match=r"'missing.toml' cannot be read"):
        load(Path("missing.toml"), {}, {})
    Path("bad.toml").write_bytes(b"student = '\xff'")
    with pytest.raises(InputError, match=r"bad.toml: no TOML"):
        load(Path("bad.toml"), {}, {})


def test_secrets_stay_in_the_environment() -> None:
    environ = {"PRECEPTOR_OPENAI_API_KEY": "sk-123", "PRECEPTOR_LIVE_OLLAMA": "http://x"}
    settings = load(None, environ, {})
    assert settings == Settings()
    assert "sk-123" not in settings.to_json()
    found = secret("PRECEPTOR_OPENAI_API_KEY", environ)
    assert found is not None
    assert "sk-123" not in f"{found} {found!r}"
    assert found.get_secret_value() == "sk-123"
    assert secret("OTHER", environ) is None


def test_settings_come_back_from_json() -> None:
    settings = load(None, {}, {"budget.dollars": "5", "data_dir": "/x"})
    assert Settings.from_json(settings.to_json()) == settings


def test_how_labels_are_asked_for_is_set_and_its_origin_shown() -> None:
    file = write("[labeller]\nbatch_from = 20")
    environ = {"PRECEPTOR_LABELLER__BATCH": "always"}
    given = {"labeller.model": "openai:gpt-4o"}
    chosen = load(file, environ, given).labeller
    assert (chosen.model, chosen.batch, chosen.batch_from) == ("openai:gpt-4o", "always", 20)
    found = {s.key: (s.value, s.origin) for s in explain(file, environ, given)}
    assert found["labeller.batch"] == ("always", "variable")
    assert found["labeller.batch_from"] == (20, "file")
    assert found["labeller.batch_hours"] == (26.0, "default")
    with pytest.raises(InputError, match=r"labeller\.batch"):
        load(None, {"PRECEPTOR_LABELLER__BATCH": "often"}, {})
    with pytest.raises(InputError, match=r"unknown key 'labeller\.bach'.*batch_from"):
        load(None, {}, {"labeller.bach": "never"})
