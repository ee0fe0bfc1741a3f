"""A student's other face: what is trained, for what answers.

Owns the table of the usual compact models and the finding of their weights on this machine. What Ollama
serves (``ollama:qwen2.5:1.5b``) and what is trained (a folder with ``config.json`` and safetensors) are
two forms of one model; nothing is fetched here. Whether they are the same model is for the doctor to
check: a table can only say what a name stands for.

Where the tables come from. ``IMPORTABLE`` was read in ollama/ollama, ``convert/convert.go`` at commit
01cf7445 (the switch in ``LoadModelMetadata``), language models only. That the Qwen2.5 tags without a
suffix are the instruct models is in Qwen's own documentation (qwen.readthedocs.io, "Ollama"); that
``gemma`` is version 1.1 by now is on its page in Ollama's library. The other names follow the same
scheme and were not looked up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from preceptor.core import model_folder, model_home, ollama_names
from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence
from preceptor.core.records import ModelRef, Recipe
from preceptor.tools.sft import base


@dataclass(frozen=True)
class Face:
    """What is trained.

    Attributes:
        folder: The base model's.
        digest: Its content hash.
        served: Whether the student answers through Ollama, so that the weights must go back there.
    """

    folder: Path
    digest: str
    served: bool = False


Resolver = Callable[[ModelRef], Face]


class Way(Protocol):
    """How trained weights will get back, and so what is trained."""

    @property
    def kind(self) -> str:
        """Adapters (``lora``) or whole weights (``merged``)."""
        ...

    @property
    def skip(self) -> tuple[str, ...]:
        """Linear layers that get no adapters."""
        ...


class Home(Protocol):
    """Brings trained weights back to the server that the student answers from."""

    def way(self, recipe: Recipe, face: Face, method: str | None, whole: bool) -> Way:
        """Return how the weights of a training will come back; refuse one that could not.

        Args:
            recipe: What is trained.
            face: Its weights.
            method: The method that was asked for; None if none was.
            whole: Whether all weights would be trained if nothing is asked for.
        """
        ...

    def check(self, recipe: Recipe, face: Face, evidence: Evidence) -> None:
        """Refuse, before a training, one whose weights could not be brought back."""
        ...

    def bring(self, recipe: Recipe, face: Face, evidence: Evidence) -> tuple[Recipe, str]:
        """Return the recipe whose model is served with its adapter, and what to say of it."""
        ...


TABLE: dict[str, str] = {
    "gemma:2b": "google/gemma-1.1-2b-it",
    "gemma2:2b": "google/gemma-2-2b-it",
    "gemma3:1b": "google/gemma-3-1b-it",
    "llama3.2:1b": "meta-llama/Llama-3.2-1B-Instruct",
    "llama3.2:3b": "meta-llama/Llama-3.2-3B-Instruct",
    "phi3:3.8b": "microsoft/Phi-3-mini-4k-instruct",
    "phi3:mini": "microsoft/Phi-3-mini-4k-instruct",
    "phi4-mini:3.8b": "microsoft/Phi-4-mini-instruct",
    "qwen2.5:0.5b": "Qwen/Qwen2.5-0.5B-Instruct",
    "qwen2.5:1.5b": "Qwen/Qwen2.5-1.5B-Instruct",
    "qwen2.5:3b": "Qwen/Qwen2.5-3B-Instruct",
    "qwen2.5:7b": "Qwen/Qwen2.5-7B-Instruct",
    "smollm2:135m": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "smollm2:360m": "HuggingFaceTB/SmolLM2-360M-Instruct",
    "smollm2:1.7b": "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "zephyr:7b": "HuggingFaceH4/zephyr-7b-beta",
}
"""What Ollama calls a model, and where its weights are published."""

LATEST = {
    "gemma2": "gemma2:9b",
    "llama3.2": "llama3.2:3b",
    "phi3": "phi3:3.8b",
    "phi4-mini": "phi4-mini:3.8b",
    "qwen2.5": "qwen2.5:7b",
    "smollm2": "smollm2:1.7b",
    "zephyr": "zephyr:7b",
}
"""What a name without a tag stands for at Ollama."""

IMPORTABLE = frozenset(
    {
        "CohereForCausalLM",
        "DeepseekV3ForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "GemmaForCausalLM",
        "Glm4MoeLiteForCausalLM",
        "GptOssForCausalLM",
        "Lfm2ForCausalLM",
        "LlamaForCausalLM",
        "Ministral3ForCausalLM",
        "MixtralForCausalLM",
        "Olmo3ForCausalLM",
        "Phi3ForCausalLM",
        "Qwen2ForCausalLM",
    }
)
"""Language models that Ollama takes as safetensors. Mistral's and Qwen3's are not among them."""


@dataclass(frozen=True)
class Faces:
    """Finds what is trained for a student.

    Attributes:
        nano: The folder of the embedded student, None if it is not there.
        configured: Folders by what Ollama calls the model; they go before the table.
        hub: The cache of downloaded models.
        models: Where models that were fetched by name live; the default place if None.
        exact: Returns the folder of the very weights that Ollama serves under a name, taken out of its
            file, None if that is not on this machine. It goes before the table.
    """

    nano: Path | None = None
    configured: Mapping[str, Path] = field(default_factory=dict)
    hub: Path = field(default_factory=lambda: hub_cache(os.environ))
    models: Path | None = None
    exact: Callable[[str], Path | None] | None = None

    def __call__(self, ref: ModelRef) -> Face:
        """Return what is trained for ``ref``: where it serves trained weights, what these belong to.

        Raises:
            InputError: If it cannot be trained here, saying why and what to do.
        """
        if ref.base:
            return self(ModelRef(spec=ref.base))
        kind, _, name = ref.spec.partition(":")
        if kind == "nano" and self.nano is not None:
            return _face(self.nano, ref)
        if kind == "hf" and name:
            return _face(model_home.locate(name, self.models), ref)
        if kind == "ollama" and name:
            folder = self._of_ollama(name)
            try:
                return Face(folder, _digest(folder), served=True)
            except InputError as cause:
                hint = f"{setting(name)} must name a folder with config.json and *.safetensors"
                raise InputError(cause.message, hint) from cause
        raise InputError(
            f"{ref.spec!r} cannot be trained: its weights are not on this machine",
            "students that can: nano, hf:FOLDER, ollama:NAME with a folder of its weights",
        )

    def behind(self, spec: str) -> Path | None:
        """Return the weights behind a student of Ollama's, None if they are not known or not here."""
        kind, _, name = spec.partition(":")
        try:
            return self._of_ollama(name) if kind == "ollama" and name else None
        except InputError:
            return None

    def _of_ollama(self, name: str) -> Path:
        name = ollama_names.plain(name)
        full = LATEST.get(name, name)
        for spelt in (name, full):
            key = ollama_names.find(spelt, self.configured)
            if key is not None:
                return Path(self.configured[key]).expanduser()
        same = self.exact(name) if self.exact is not None else None
        if same is not None:
            return same
        published = TABLE.get(full)
        if published is None:
            raise InputError(
                f"it is not known which weights stand behind 'ollama:{name}'",
                f"name their folder in the settings: {setting(name)} = 'FOLDER'",
            )
        found = cached(self.hub, published)
        if found is None:
            raise InputError(
                f"'ollama:{name}' is trained as {published}, whose weights are not on this machine",
                f"hf download {published} --local-dir FOLDER, then set {setting(name)} = 'FOLDER'",
            )
        return found


def setting(name: str) -> str:
    """Return the setting that names the folder of a model of Ollama's, as TOML writes it."""
    return f'faces."{ollama_names.plain(name)}"'


def _face(folder: Path, ref: ModelRef) -> Face:
    return Face(folder, ref.digest or _digest(folder))


def _digest(folder: Path) -> str:
    """Return a model's content hash; files that were not touched are read once per process."""
    base.check_model(folder)
    return model_folder.known_digest(folder)


def hub_cache(environ: Mapping[str, str]) -> Path:
    """Return where downloaded models are kept."""
    home = environ.get("HF_HOME") or "~/.cache/huggingface"
    return Path(environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()


def cached(hub: Path, published: str) -> Path | None:
    """Return the folder of a downloaded model, None if it was not downloaded."""
    folder = hub / f"models--{published.replace('/', '--')}"
    try:
        found = folder / "snapshots" / (folder / "refs" / "main").read_text("utf-8").strip()
    except OSError:
        return None
    return found if (found / "config.json").is_file() else None


def check_importable(face: Face, importable: frozenset[str] = IMPORTABLE) -> None:
    """Refuse a model that could be trained but not served again.

    Raises:
        InputError: If the student answers through Ollama and Ollama cannot import its weights.
    """
    named = base.architecture(face.folder)
    if face.served and named not in importable:
        raise InputError(
            f"Ollama cannot import weights of architecture {named!r}: they could not be served",
            "train a student that it can import: " + ", ".join(sorted(importable)),
        )
