"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import preceptor

ROOT = Path(__file__).parents[2]
ROOMS = ("agents", "evals", "graphs", "tools")
HEAVY = (
    "datasets", "httpx", "langchain", "langchain_core", "langchain_openai", "langgraph", "numpy",
    "ollama", "openai", "peft", "qdrant_client", "scipy", "torch", "transformers", "trl", "yaml",
)  # fmt: skip
MAX_PARAMETERS, MAX_FUNCTION, MAX_FILE = 6, 60, 400


def sources() -> list[Path]:
    roots = [ROOT / room for room in ROOMS] + [ROOT / "src" / "preceptor", ROOT / "benchmarks"]
    found = {path.resolve() for root in roots for path in root.rglob("*.py")}
    return sorted(found)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_relative_links_to_the_root(room: str) -> None:
    link = ROOT / "src" / "preceptor" / room
    assert link.is_symlink()
    assert str(link.readlink()) == f"../../{room}"
    assert link.resolve() == ROOT / room


def test_sources_are_found() -> None:
    assert len(sources()) > 40


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    lines = path.read_text("utf-8").count("\n")
    assert lines <= MAX_FILE, f"{lines} lines"
    for found in functions(path):
        named = found.args.posonlyargs + found.args.args + found.args.kwonlyargs
        asked = [a for a in named if a.arg not in ("self", "cls")]
        assert len(asked) <= MAX_PARAMETERS, f"{found.name}: {len(asked)} parameters"
        size = (found.end_lineno or found.lineno) - found.lineno + 1
        assert size <= MAX_FUNCTION, f"{found.name}: {size} lines"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_say_what_they_own(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_only_the_boundary_catches_everything() -> None:
    broad = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert [place.split(":")[0] for place in broad] == ["src/preceptor/core/errors.py"]


def test_public_names_are_sorted_and_there() -> None:
    assert list(preceptor.__all__) == sorted(preceptor.__all__)
    assert all(
        getattr(preceptor, name).__name__ == name for name in preceptor.__all__ if name != "FieldSpec"
    )
    assert preceptor.FieldSpec is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = preceptor.nonsense


@pytest.mark.parametrize("arguments", [["--help"], ["refine", "--help"], ["runs", "list"]])
def test_the_command_line_starts_without_heavy_imports(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys, json\n"
        "from preceptor.cli import main\n"
        "try:\n    main(json.loads(sys.argv[1]))\n"
        "except SystemExit:\n    pass\n"
        "print('HEAVY', *sorted({m.split('.')[0] for m in sys.modules} & set(json.loads(sys.argv[2]))))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, json.dumps(arguments), json.dumps(HEAVY)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert shown.splitlines()[-1] == "HEAVY"


def test_importing_every_module_needs_no_torch() -> None:
    # The modules that train the embedded student are entry points: they may import torch.
    program = (
        "import sys, pkgutil, importlib, preceptor\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers', 'trl', 'peft', 'datasets'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "for found in pkgutil.walk_packages(preceptor.__path__, 'preceptor.'):\n"
        "    if '__main__' not in found.name and not found.name.startswith('preceptor.nano.'):\n"
        "        importlib.import_module(found.name)\n"
        "print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr[-500:]


def test_the_langgraph_factory_imports_and_compiles() -> None:
    named = json.loads((ROOT / "langgraph.json").read_text("utf-8"))["graphs"]["refine"]
    file, _, attribute = named.partition(":")
    module = ".".join(["preceptor", *Path(file).with_suffix("").parts])
    factory = getattr(__import__(module, fromlist=[attribute]), attribute)
    assert "judge" in factory({"configurable": {}}).get_graph().nodes


def test_nothing_of_the_workshop_is_in_the_repository() -> None:
    """No absolute path of a machine stands in a committed text."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    texts = [ROOT / name for name in listed if name.endswith((".py", ".md", ".toml", ".yaml", ".json"))]
    named = ["/".join(["", "work", ""]), "/".join(["", "root", ""]), "/".join(["", "home", ""])]
    guilty = [p.name for p in texts if p.is_file() and any(n in p.read_text("utf-8") for n in named)]
    assert guilty == []
