"""What somebody else may hand over, made to run a command: runs, bundles, task files, models, adapters.

Every case plants a payload that would write a file (the mark), has the program take it up as a user
would, and returns what the program said. ``test_foreign.py`` asserts that no mark is ever there, and
``benchmarks.robustness`` writes the table.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import ormsgpack

from preceptor.cli import main
from preceptor.core.errors import PreceptorError
from preceptor.graphs import checkpoint, refine
from tests.agents.students import tiny
from tests.graphs import small

Act = Callable[[Path, Path], str]
_OPTION = ormsgpack.OPT_NON_STR_KEYS


@dataclass(frozen=True)
class Case:
    """One thing that somebody hands over.

    Attributes:
        of: What it is: a run, a task file, a model, an adapter, an embedder.
        name: How it would run something.
        act: Plants it in an empty folder and takes it up; the second argument is the mark.
    """

    of: str
    name: str
    act: Act


@dataclass(frozen=True)
class Tried:
    """What came of a case: whether its code ran, and what the program said."""

    ran: bool
    said: str


def tried(case: Case) -> Tried:
    """Play a case in a folder of its own, which is the working directory meanwhile."""
    with tempfile.TemporaryDirectory(prefix="preceptor-foreign-") as name:
        folder = Path(name).resolve()
        mark, path = folder / "mark", list(sys.path)
        (folder / "given").mkdir()
        try:
            with _standing_in(folder / "given"):
                said = case.act(folder / "given", mark)
        finally:
            sys.path[:] = path
            for module in [m for m in sys.modules if m.startswith("payload")]:
                del sys.modules[module]
        return Tried(mark.exists(), said.strip().replace(str(folder), "…"))


@contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    """Stand in a folder, with somebody at the keyboard who says yes to everything."""
    before, keyboard = Path.cwd(), sys.stdin
    os.chdir(folder)
    sys.stdin = StringIO("yes\n" * 50)
    try:
        yield
    finally:
        sys.stdin = keyboard
        os.chdir(before)


def _cli(*argv: str) -> str:
    """Return what the program says on stderr, whatever becomes of it."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(argv))
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
    return err.getvalue()


def _told(work: Callable[[], object]) -> str:
    """Return the error that ``work`` raises; what is no error of ours begins with its type."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            work()
    except PreceptorError as error:
        return f"error: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


# Runs


@cache
def _run() -> Path:
    """Return a run that waits for a person's word, made once per process."""
    root = Path(tempfile.mkdtemp(prefix="preceptor-waiting-"))
    changed = {"approve": True, "moves": ("edit_prompt",)}
    _told(lambda: small.finished(root, small.OPTIONS.model_copy(update=changed)))
    return root / "run"


def waiting(folder: Path) -> Path:
    """Return a copy of a run that waits for a person's word."""
    return Path(shutil.copytree(_run(), folder / "run"))


def _call(code: int, module: str, name: str, given: object) -> bytes:
    """Return what LangGraph's own reader takes for an object to be made by a call."""
    inner = ormsgpack.packb((module, name, given), option=_OPTION)
    return ormsgpack.packb(ormsgpack.Ext(code, inner), option=_OPTION)


def _in_checkpoint(run: Path, kind: str, value: bytes) -> None:
    """Put a value in place of the last checkpoint of a run."""
    with closing(sqlite3.connect(run / checkpoint.FILE)) as held:
        held.execute("UPDATE checkpoints SET type = ?, checkpoint = ?", (kind, value))
        held.commit()


def _in_state(run: Path, value: bytes) -> None:
    """Put a value into the state of a run, as one counter among the others."""
    plain = {"v": 4, "id": "1", "ts": "", "channel_versions": {}, "versions_seen": {}}
    head = ormsgpack.packb({**plain, "channel_values": {"round": 0}}, option=_OPTION)
    zero = ormsgpack.packb("round") + b"\x00"
    assert head.count(zero) == 1
    _in_checkpoint(run, "msgpack", head.replace(zero, ormsgpack.packb("round") + value))


def _in_writes(run: Path, value: bytes) -> None:
    """Put a value in place of what the run asks a person."""
    with closing(sqlite3.connect(run / checkpoint.FILE)) as held:
        held.execute(
            "UPDATE writes SET type = 'msgpack', value = ? WHERE channel = '__interrupt__'", (value,)
        )
        held.commit()


def _state(code: int, module: str, name: str, shape: Callable[[str], object]) -> Act:
    def act(folder: Path, mark: Path) -> str:
        run = waiting(folder)
        _in_state(run, _call(code, module, name, shape(f"touch {mark}")))
        return _cli("resume", str(run))

    return act


def _asked(folder: Path, mark: Path) -> str:
    run = waiting(folder)
    _in_writes(run, _call(0, "os", "system", f"touch {mark}"))
    return _cli("approve", str(run), "--show")


def _nested(folder: Path, mark: Path) -> str:
    run = waiting(folder)
    inner = ormsgpack.Ext(0, ormsgpack.packb(("os", "system", f"touch {mark}")))
    said = {"value": {"proposal": inner}, "id": "1"}
    _in_writes(run, _call(2, "langgraph.types", "Interrupt", said))
    return _cli("approve", str(run), "--show")


class _Pickled:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def _rows(kind: str) -> Act:
    def act(folder: Path, mark: Path) -> str:
        run = waiting(folder)
        made = {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": [f"touch {mark}"]}
        content = (
            json.dumps(made).encode() if kind == "json" else pickle.dumps(_Pickled(f"touch {mark}"))
        )
        _in_checkpoint(run, kind, content)
        return _cli("resume", str(run))

    return act


def _payload(folder: Path, mark: Path, name: str = "payload") -> None:
    (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\ndef make(*_): return 1.0\n")


def _says(run: Path, **said: str) -> None:
    """Let a run's own file name other objects."""
    config = json.loads((run / "run.json").read_text("utf-8"))
    inner = config["config"] if "config" in config else config
    for key, value in said.items():
        (inner if key in ("metric", "code_seal") else inner["options"])[key] = value
    (run / "run.json").write_text(json.dumps(config), "utf-8")


def _named(*verb: str, **said: str) -> Act:
    def act(folder: Path, mark: Path) -> str:
        _payload(folder, mark)
        run = waiting(folder)
        _says(run, **said)
        return _cli(verb[0], *verb[1:], str(run))

    return act


def _by_langgraph(folder: Path, mark: Path) -> str:
    """Take a run up as ``langgraph dev`` does."""
    _payload(folder, mark)
    run = waiting(folder)
    _says(run, task="payload:make")
    loop = refine.graph({"configurable": {"run": str(run)}})
    return _told(lambda: loop.invoke({"round": 0, "stop": ""}))


def _bundle(folder: Path, mark: Path) -> str:
    """Take a bundle up as an export does that compares the served student with the measured one."""
    from preceptor.core.records import ModelRef, Recipe
    from preceptor.graphs import bundle, serving

    _payload(folder, mark)
    made = bundle.Bundle(
        task="payload:make",
        task_fingerprint="",
        synthetic=True,
        fields=small.task().fields,
        recipe=Recipe(model=ModelRef(spec="simulated")),
        seals={},
    )
    return _told(lambda: serving.dev_notes(made, folder, serving.Target(), small.SETTINGS))


# Task files


def _task(**more: str) -> Act:
    def act(folder: Path, mark: Path) -> str:
        _payload(folder, mark)
        rows = ({"id": f"n{i}", "text": f"No pain, day {i}.", "pain": "no"} for i in range(12))
        (folder / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        lines = {
            "name": "t",
            "data": "{path: notes.jsonl}",
            "fields": "[{name: pain, values: ['yes', 'no']}]",
            **{key: value.format(mark=mark) for key, value in more.items()},
        }
        file = folder / "task.yaml"
        file.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), "utf-8")
        return _cli("tasks", "check", str(file))

    return act


# Models and embedders


@cache
def _model() -> Path:
    return tiny.save("llama", Path(tempfile.mkdtemp(prefix="preceptor-foreign-model-")) / "model")


def _edit(file: Path, **said: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **said}), "utf-8")


def _code(mark: Path) -> str:
    return f"open({str(mark)!r}, 'w').close()\n"


def _load(folder: Path) -> str:
    from preceptor.agents.students import weights

    return _told(lambda: weights.load(weights.folder_of(str(folder)), device="cpu"))


def model(plant: Callable[[Path, Path], None]) -> Act:
    """Return a case of a student's folder."""

    def act(folder: Path, mark: Path) -> str:
        at = Path(shutil.copytree(_model(), folder / "model"))
        plant(at, mark)
        return _load(at)

    return act


def own_model(at: Path, mark: Path) -> None:
    """Let a folder bring the Python of its architecture."""
    (at / "modeling.py").write_text(_code(mark), "utf-8")
    named = {"AutoConfig": "modeling.Config", "AutoModelForCausalLM": "modeling.Model"}
    _edit(at / "config.json", model_type="unheard_of", architectures=["Model"], auto_map=named)


def own_tokenizer(at: Path, mark: Path) -> None:
    """Let a folder bring the Python of its tokenizer."""
    (at / "tokenization.py").write_text(_code(mark), "utf-8")
    named = {"AutoTokenizer": ["tokenization.Tok", "tokenization.Tok"]}
    _edit(at / "tokenizer_config.json", tokenizer_class="Tok", auto_map=named)


def _pickled(at: Path, mark: Path) -> None:
    (at / "model.safetensors").unlink()
    (at / "pytorch_model.bin").write_bytes(pickle.dumps(_Pickled(f"touch {mark}")))


def _kernel(at: Path, mark: Path) -> None:
    _edit(at / "config.json", attn_implementation="somebody/attention")


def _adapter_beside(at: Path, mark: Path) -> None:
    other = Path(shutil.copytree(at, at.parent / "other"))
    own_model(other, mark)
    said = {"peft_type": "LORA", "base_model_name_or_path": str(other), "target_modules": ["q_proj"]}
    (at / "adapter_config.json").write_text(json.dumps(said), "utf-8")


def _template(expression: str) -> Act:
    def act(folder: Path, mark: Path) -> str:
        from preceptor.agents.students import chat
        from preceptor.core.records import Message

        at = Path(shutil.copytree(_model(), folder / "model"))
        said = expression.replace("COMMAND", f"touch {mark}")
        for file in at.glob("chat_template*"):
            file.unlink()
        _edit(at / "tokenizer_config.json", chat_template=said)
        return _told(lambda: chat.of_folder(at).text([Message(role="user", content="Hello")]))

    return act


def _embedder(folder: Path, mark: Path) -> str:
    from preceptor.tools.rag.sentence import SentenceEmbedder

    at = Path(shutil.copytree(_model(), folder / "model"))
    own_model(at, mark)
    return _told(lambda: SentenceEmbedder("st:given", at))


# Adapters


@cache
def _adapter() -> Path:
    """Return a LoRA adapter of the model, as a training saves it; made once per process."""
    import peft
    import transformers

    at = Path(tempfile.mkdtemp(prefix="preceptor-foreign-adapter-")) / "adapter"
    net: Any = transformers.AutoModelForCausalLM.from_pretrained(
        _model(), trust_remote_code=False, use_safetensors=True
    )
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(net, config).save_pretrained(str(at))
    return at


def adapter(**said: object) -> Act:
    """Return a case of an adapter on a model."""

    def act(folder: Path, mark: Path) -> str:
        _payload(folder, mark)
        at = Path(shutil.copytree(_adapter(), folder / "adapter"))
        _edit(at / "adapter_config.json", **said)
        return _with_adapter(at)

    return act


def _pickled_adapter(folder: Path, mark: Path) -> str:
    at = Path(shutil.copytree(_adapter(), folder / "adapter"))
    (at / "adapter_model.safetensors").unlink()
    (at / "adapter_model.bin").write_bytes(pickle.dumps(_Pickled(f"touch {mark}")))
    return _with_adapter(at)


def _with_adapter(at: Path) -> str:
    from preceptor.agents.students import weights
    from preceptor.core.records import AdapterRef

    return _told(lambda: weights.load(_model(), AdapterRef(digest="0" * 8), at, device="cpu"))


SLOW = "(.*a.*)*" * 6 + "!"
"""A pattern that a module's name keeps busy for years."""
GLOBALS = "{{ cycler.__init__.__globals__.os.system('COMMAND') }}"
LIPSUM = "{{ lipsum.__globals__['os'].popen('COMMAND').read() }}"

CASES = (
    Case("run", "checkpoint: a call of os.system", _state(0, "os", "system", str)),
    Case("run", "checkpoint: a call with arguments", _state(1, "os", "system", lambda c: [c])),
    Case(
        "run",
        "checkpoint: a call with named arguments",
        _state(2, "subprocess", "run", lambda c: {"args": c, "shell": True}),
    ),
    Case(
        "run",
        "checkpoint: a model to be built",
        _state(5, "subprocess", "Popen", lambda c: {"args": c, "shell": True}),
    ),
    Case("run", "checkpoint: a regular expression", _state(1, "re", "compile", lambda _: [SLOW])),
    Case("run", "checkpoint: a row of JSON that names a call", _rows("json")),
    Case("run", "checkpoint: a pickle", _rows("pickle")),
    Case("run", "checkpoint: the question to a person", _asked),
    Case("run", "checkpoint: inside the question to a person", _nested),
    Case("run", "run.json: the task is Python beside it", _named("resume", task="payload:make")),
    Case("run", "run.json: the metric is Python beside it", _named("resume", metric="payload:make")),
    Case("run", "run.json: the task is of the standard library", _named("resume", task="os:abort")),
    Case(
        "run",
        "run.json: the task is Python, asked for its notes",
        _named("runs", "splits", task="payload:make"),
    ),
    Case("run", "run.json: the same, under langgraph dev", _by_langgraph),
    Case("bundle", "the task is Python beside it", _bundle),
    Case("task file", "metric: Python beside it", _task(metric="payload:make")),
    Case("task file", "a YAML tag", _task(name="!!python/object/apply:os.system ['touch {mark}']")),
    Case("model", "Python of its architecture (auto_map)", model(own_model)),
    Case("model", "Python of its tokenizer (auto_map)", model(own_tokenizer)),
    Case("model", "pickled weights", model(_pickled)),
    Case("model", "attention from the hub", model(_kernel)),
    Case("model", "an adapter beside it that names another model", model(_adapter_beside)),
    Case("model", "chat template: the globals of a class", _template(GLOBALS)),
    Case("model", "chat template: the globals of a function", _template(LIPSUM)),
    Case("adapter", "target_modules: a slow pattern", adapter(target_modules=SLOW)),
    Case("adapter", "target_modules: slow patterns in a list", adapter(target_modules=[SLOW])),
    Case("adapter", "exclude_modules: a slow pattern", adapter(exclude_modules=SLOW)),
    Case("adapter", "rank_pattern: a slow pattern", adapter(rank_pattern={SLOW: 2})),
    Case(
        "adapter", "megatron_core: a module", adapter(megatron_core="payload", megatron_config={"a": 1})
    ),
    Case("adapter", "pickled weights", _pickled_adapter),
    Case("embedder", "Python of its architecture (auto_map)", _embedder),
)
