"""No line of the program lets a file from somebody else run code: every load in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_house import ROOT, sources

MODELS = ("AutoModel", "AutoModelForCausalLM", "Lfm2ForCausalLM")
ADAPTERS = ("PeftModel",)
BANNED = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal",
    "sentence_transformers",
}  # fmt: skip
RUNNING = ("eval", "exec", "compile", "__import__", "yaml.unsafe_load", "yaml.full_load")


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def says(call: ast.Call, name: str, value: object) -> bool:
    given = [k.value for k in call.keywords if k.arg == name]
    return len(given) == 1 and isinstance(given[0], ast.Constant) and given[0].value is value


def wrong(name: str, call: ast.Call, checked: bool) -> str:
    """Return what is wrong with one call; ``checked`` is whether its file looks at adapters first."""
    of, _, method = name.rpartition(".")
    given = {k.arg for k in call.keywords}
    if "trust_remote_code" in given and not says(call, "trust_remote_code", False):
        return "trusts code"
    if method == "from_pretrained" and of in ADAPTERS:
        return "" if checked else "without foreign.check_adapter in this file"
    if method == "from_pretrained" and "trust_remote_code" not in given:
        return "without trust_remote_code=False"
    if method == "from_pretrained" and of in MODELS and "gguf_file" not in given:
        return "" if says(call, "use_safetensors", True) else "without use_safetensors=True"
    if name == "torch.load":
        return "" if says(call, "weights_only", True) else "without weights_only=True"
    if method == "SqliteSaver":
        return "" if "serde" in given else "without a serde"
    return "runs text or pickles" if name in RUNNING or "allow_pickle" in given else ""


def faults(path: Path) -> list[str]:
    """Return what is wrong with the loads of one file."""
    checked = "foreign.check_adapter(" in path.read_text("utf-8")
    found = [(call.lineno, name, wrong(name, call, checked)) for name, call in calls(path)]
    return [f"{line}: {name} {what}" for line, name, what in found if what]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name.partition(".")[0] for a in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_load_refuses_code(path: Path) -> None:
    assert faults(path) == []
    assert imported(path) & BANNED == set()


def test_the_look_finds_loads_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    loads = [name for path in sources() for name, _ in calls(path) if name.endswith("from_pretrained")]
    assert len(loads) > 20
    bad = tmp_path / "bad.py"
    bad.write_text(
        "AutoTokenizer.from_pretrained(folder)\n"
        "AutoConfig.from_pretrained(folder, trust_remote_code=True)\n"
        "AutoModel.from_pretrained(folder, trust_remote_code=False)\n"
        "PeftModel.from_pretrained(net, at)\n"
        "torch.load(file)\nSqliteSaver(connection)\n"
    )
    assert {int(fault.partition(":")[0]) for fault in faults(bad)} == {1, 2, 3, 4, 5, 6}
