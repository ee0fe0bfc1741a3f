"""A tuned student to export, and a host that answers with the real model of what was uploaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from preceptor.agents.servers import importing
from preceptor.agents.servers.hosting import Created, Engine, Said
from preceptor.agents.servers.scripted import Body
from preceptor.agents.students import StudentOptions
from preceptor.agents.students.hf import HFStudent
from preceptor.core import pretokenizer
from preceptor.core.fields import FieldSpec, LabelField, object_schema
from preceptor.core.record import canonical, digest
from preceptor.core.records import AdapterRef, Call, Decoding, Message, ModelRef, Prompt, Recipe
from preceptor.evals import splits
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import bundle
from preceptor.tools.sft import base, data
from preceptor.tools.sft.job import Base, Hyper, Job, Paths
from preceptor.tools.sft.runner import Runner
from tests.agents.students import tiny
from tests.graphs import small

TASK = "tests.graphs.hosted:task"
FIELDS = tuple(
    LabelField(name=name, values=tuple("abcdefghijklmnopqrstuvwx")) for name in ("tone", "mark")
)


def task() -> Task:
    """Return a task with so many labels that a random model's answers tell every change."""
    notes = [
        e.model_copy(update={"gold": {f.name: f.values[i % 24] for f in FIELDS}})
        for i, e in enumerate(small.task().examples[:50])
    ]
    split = SplitSpec(train=20, dev=22, test=8)
    return Task(name="letters", fields=FIELDS, examples=tuple(notes), split=split, synthetic=True)


@cache
def model() -> Path:
    """Return the folder of a tiny random model, made once per process."""
    return tiny.save("lfm2", Path(mkdtemp(prefix="preceptor-hosted-")) / "lfm2")


def adapter(folder: Path, of: Path) -> AdapterRef:
    """Write a random adapter for a model, strong enough to change most answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    net: Any = AutoModelForCausalLM.from_pretrained(of, dtype=torch.float32)
    config = LoraConfig(
        r=4, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    made: Any = get_peft_model(net, config)
    made.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    ref = AdapterRef(digest=base.weights_digest(base.file_hashes(folder)))
    about = base.About(adapter=ref, base=base.model_digest(of), spec=f"hf:{of}", job="0" * 20)
    base.write_about(folder, about)
    return ref


PROMPT = Prompt(instruction="Read the note and fill in the field.", rules=("One letter.",))


def trained(folder: Path, of: Path) -> AdapterRef:
    """Train a model for two epochs on the train notes, in a process of its own as a run does."""
    letters = task()
    notes = splits.make(letters).examples(letters, "train")
    ref = ModelRef(spec=f"hf:{of}", digest=base.model_digest(of))
    rows = data.rows(Recipe(model=ref, prompt=PROMPT), FIELDS, notes)
    raw = data.dump(rows)
    hyper = Hyper(epochs=2, batch=8, validation=0, patience=0, rate=1e-2)
    job = Job(
        base=Base(spec=ref.spec, digest=ref.digest), data=digest(raw), rows=len(rows), hyper=hyper
    )
    root = folder.with_name("trainings")
    made = Runner(root).run(job, raw, Paths(base=str(of)))
    shutil.copytree(base.adapter_folder(root, made.adapter), folder)
    return made.adapter


def make_bundle(
    folder: Path, of: Path | None = None, tune: Callable[[Path, Path], AdapterRef] = adapter
) -> Path:
    """Write the bundle of a tuned student, of the tiny model or another; return its folder."""
    of = of or model()
    folder.mkdir(parents=True)
    letters = task()
    drawn = splits.make(letters)
    recipe = Recipe(
        model=ModelRef(spec=f"hf:{of}", digest=base.model_digest(of)),
        prompt=PROMPT,
        adapter=tune(folder / "adapter", of),
        decoding=Decoding(max_tokens=24),
    )
    made = bundle.Bundle(
        task=TASK,
        task_fingerprint=letters.fingerprint,
        synthetic=True,
        fields=letters.fields,
        recipe=recipe,
        seals={part: drawn.digest(part) for part in ("train", "dev", "test")},
    )
    (folder / "bundle.json").write_text(made.to_json(), "utf-8")
    (folder / "schema.json").write_text(json.dumps(object_schema(made.fields)), "utf-8")
    (folder / "metrics.json").write_text("{}", "utf-8")
    return folder


class _AsItIs:
    """Tokens of a text that is a whole prompt, with the start token that the model's files ask for."""

    def __init__(self, student: HFStudent, starts: bool) -> None:
        self._tokenizer: Any = student._loaded.tokenizer
        self._starts = starts

    def ids(self, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
        start = [self._tokenizer.bos_token_id] if self._starts else []
        return [
            start + self._tokenizer(messages[0].content, add_special_tokens=False)["input_ids"]
            for messages in prompts
        ]


def _fields(shape: Any) -> tuple[FieldSpec, ...]:
    """Return the label field that a request's schema asks for, none without a schema."""
    if shape is None:
        return ()
    [(name, said)] = shape["properties"].items()
    [field] = fields = (LabelField(name=name, values=tuple(said["enum"])),)
    assert canonical(object_schema((field,))) == canonical(shape)
    return fields


def _adapted(folder: Path, created: Created) -> None:
    """Put an adapter into the weights of a folder, with what the importer does to it."""
    import torch
    from peft import PeftModel
    from safetensors.torch import load, save
    from transformers import AutoModelForCausalLM

    place = folder / "adapter"
    place.mkdir()
    tensors = load(created.adapters["adapter_model.safetensors"])
    if importing.architecture(created.files) == "llama":
        heads = json.loads(created.files["config.json"])["num_attention_heads"]
        tensors = {name: _repacked(name, one, heads) for name, one in tensors.items()}
    (place / "adapter_model.safetensors").write_bytes(save(tensors))
    (place / "adapter_config.json").write_bytes(created.adapters["adapter_config.json"])
    net: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    PeftModel.from_pretrained(net, str(place)).merge_and_unload().save_pretrained(folder)


def _repacked(name: str, tensor: Any, heads: int) -> Any:
    """Return a tensor as the importer writes it (``convert/convert_llama_adapter.go``, ``repack``).

    It orders ``lora_A`` of queries and keys as if it lay the other way round, and leaves ``lora_B``,
    whose rows are the ones that GGUF orders otherwise.
    """
    if not name.endswith(("q_proj.lora_A.weight", "k_proj.lora_A.weight")):
        return tensor
    rank, width = tensor.shape
    blocks = tensor.reshape(heads, 2, width // heads // 2, rank)
    return blocks.transpose(1, 2).reshape(rank, width).contiguous()


def _split_by_default(file: Path) -> None:
    """Let a tokenizer split text as a server does that does not know its pre-tokenizer."""
    said = json.loads(file.read_bytes())
    said["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": r"[\p{P}\$\+<=>\^~\|]"},
                "behavior": "Isolated",
                "invert": False,
            },
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        ],
    }
    file.write_text(json.dumps(said), "utf-8")


def host(created: Created) -> Engine:
    """Load the files as Ollama would: weights, adapter, pre-tokenizer, and any start token."""
    folder = Path(mkdtemp(prefix="preceptor-served-"))
    for name, content in created.files.items():
        (folder / name).write_bytes(content)
    if created.adapters:
        _adapted(folder, created)
    if created.pre == pretokenizer.DEFAULT:
        _split_by_default(folder / "tokenizer.json")
    student: Any = HFStudent(str(folder), options=StudentOptions(threads=1))
    # Where nothing is said, the runner for this architecture adds one.
    starts = json.loads(created.files["tokenizer_config.json"]).get("add_bos_token", True)
    student._chat = _AsItIs(student, starts)

    def answer(prompt: str, body: Body) -> Said:
        options: Any = body.get("options") or {}
        shape = body.get("format")
        decoding = Decoding(
            max_tokens=min(24, options.get("num_predict") or 24), constrained=shape is not None
        )
        call = Call("asked", _fields(shape), (Message("user", prompt),), decoding)
        [reply] = student.complete([call])
        return Said(reply.raw, reply.prompt_tokens, reply.completion_tokens)

    return answer
