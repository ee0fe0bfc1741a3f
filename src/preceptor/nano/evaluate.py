"""Own the measurement of nano: ``python -m preceptor.nano.evaluate --model DIR --out FILE``.

Pages come from other seeds than training and from wordings and label names that training never
shows. The same questions are asked bare, with hints and with worked sentences. Answers come from
greedy decoding constrained to the labels, as the project's own students decode; some are also
generated freely, where an answer that is not the JSON asked for is wrong.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from preceptor.nano import encode, generate, notes, path, tokenizer
from preceptor.nano.generate import Level, Page, Question
from preceptor.nano.words import Lexicon

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LEVEL = Level(9000, 4, 5, 0.5, schemes=2, special=0.15, style=0.7, asked=4)
USUAL = replace(LEVEL, schemes=0)
"""As ``LEVEL``, with yes/no and present/absent/unknown in place of label names never trained on."""

RULED = replace(USUAL, special=1.0, rules=1.0)
SEED = 7_000_000
NEW_TOKENS = 48


@dataclass(frozen=True)
class Item:
    """One prompt with its right answer."""

    prompt: str
    name: str
    gold: str
    labels: tuple[str, ...]
    mentioned: bool
    kind: str


@dataclass(frozen=True)
class Score:
    """A share with its 95 % Wilson interval."""

    right: int
    of: int

    def interval(self) -> tuple[float, float]:
        """Return the Wilson score interval (E. B. Wilson, 1927)."""
        if not self.of:
            return 0.0, 1.0
        z, n, p = 1.96, self.of, self.right / self.of
        mid = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return mid - half, mid + half

    def row(self) -> dict[str, float | int]:
        """Return the score as plain numbers."""
        low, high = self.interval()
        share = self.right / self.of if self.of else 0.0
        return {
            "share": round(share, 4), "low": round(low, 4), "high": round(high, 4), "n": self.of
        }  # fmt: skip


def item(page: Page, question: Question) -> Item:
    """Render one question as a chat prompt."""
    alone = replace(page, questions=(question,))
    prefix, [(rest, _)] = encode.texts(alone)
    mentioned = question.kind != "U"
    labels = question.scheme.order
    return Item(prefix + rest, question.name, question.gold, labels, mentioned, question.kind)


def bare(page: Page, question: Question, r: Random, lex: Lexicon) -> Question:
    """Ask with the field's name only."""
    return replace(question, hints=(), meaning="")


def hinted(page: Page, question: Question, r: Random, lex: Lexicon) -> Question:
    """Ask with all other forms as hints."""
    return replace(question, meaning="")


def shown(page: Page, question: Question, r: Random, lex: Lexicon) -> Question:
    """Ask with three labelled sentences in place of hints."""
    concept = generate.Concept((question.name.replace("_", " "), *question.hints))
    surface = [h for h in question.hints if h.lower() in page.note.lower()][:1]
    draft = notes.Draft(concept, "shots", question.scheme, covered=1.0)
    draft.mentions = [generate.Mention(0, s, "A") for s in surface]
    lines = notes.worked(r, lex, LEVEL, draft, held=True, n=3)
    return replace(question, hints=(), meaning="", shots=tuple(lines))


Ask = Callable[[Page, Question, Random, Lexicon], Question]
CONDITIONS: dict[str, Ask] = {"bare": bare, "hints": hinted, "three sentences": shown}


def pages(lex: Lexicon, level: Level, count: int, seed: int = SEED, held: bool = True) -> list[Page]:
    """Draw evaluation pages, with surfaces that are never the field's name.

    Args:
        lex: The words.
        level: How hard.
        count: How many.
        seed: Where they begin; training's seeds are of another form.
        held: Held-out wordings, or those of training in new combinations.
    """
    return [
        notes.page(Random(f"eval:{seed}:{i}"), lex, level, held=held, named=False) for i in range(count)
    ]


def plain_items(
    lex: Lexicon, count: int, seed: int = SEED, level: Level = USUAL
) -> dict[str, list[Item]]:
    """Return the same questions under every condition."""
    drawn = pages(lex, level, -(-count // level.asked), seed)
    out: dict[str, list[Item]] = {}
    for name, ask in CONDITIONS.items():
        r = Random(f"eval:{seed}:{name}")
        found = [item(p, ask(p, q, r, lex)) for p in drawn for q in p.questions]
        out[name] = found[:count]
    return out


def rule_items(lex: Lexicon, count: int, seed: int = SEED) -> dict[str, list[Item]]:
    """Return questions whose answer a rule changes, with the rule and without it."""
    ruled: list[Item] = []
    without: list[Item] = []
    i = 0
    while len(ruled) < count:
        [page] = pages(lex, RULED, 1, seed + 1 + i)
        i += 1
        for question in page.questions:
            if question.rules and question.gold != question.plain:
                ruled.append(item(page, question))
                free = replace(question, rules=(), gold=question.plain)
                without.append(item(replace(page, rules=()), free))
    return {"rule decides": ruled[:count], "the same without the rule": without[:count]}


def constrained(
    model: PreTrainedModel, tokens: PreTrainedTokenizerFast, items: Sequence[Item], size: int = 32
) -> list[str]:
    """Return the answers of greedy decoding in which only the labels can come out."""
    frames = [f'{{{json.dumps(i.name, ensure_ascii=False)}: "' for i in items]
    opened = [
        tokens(i.prompt + frame, add_special_tokens=False)["input_ids"]
        for i, frame in zip(items, frames, strict=True)
    ]
    ways = [
        {
            tuple(tokens(label + '"}', add_special_tokens=False)["input_ids"]): label
            for label in i.labels
        }
        for i in items
    ]
    taken: list[list[int]] = [[] for _ in items]
    waiting = sorted(range(len(items)), key=lambda k: len(opened[k]))
    while waiting:
        for start in range(0, len(waiting), size):
            chosen = waiting[start : start + size]
            rows = _last_logits(model, [opened[k] + taken[k] for k in chosen])
            for k, row in zip(chosen, rows, strict=True):
                at = len(taken[k])
                open_ways = [w for w in ways[k] if list(w[:at]) == taken[k]]
                taken[k].append(max({w[at] for w in open_ways}, key=lambda t: row[t].item()))
        waiting = [k for k in waiting if tuple(taken[k]) not in ways[k]]
    return [
        f'{frame}{way[tuple(took)]}"}}' for frame, way, took in zip(frames, ways, taken, strict=True)
    ]


def _last_logits(model: PreTrainedModel, rows: list[list[int]]) -> Tensor:
    """Return the logits after each row of token ids, (rows, vocabulary)."""
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    seen = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    with torch.no_grad():
        found: Tensor = model(input_ids=ids, attention_mask=seen, logits_to_keep=1).logits
    return found[:, -1]


def generated(
    model: PreTrainedModel, tokens: PreTrainedTokenizerFast, prompts: Sequence[str], size: int = 32
) -> list[str]:
    """Return greedy, unconstrained completions, in the order of the prompts."""
    import torch

    generate_text: Any = model.generate
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    out = [""] * len(prompts)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        batch = tokens(
            [prompts[i] for i in chosen], return_tensors="pt", padding=True,
            add_special_tokens=False, return_token_type_ids=False,
        )  # fmt: skip
        with torch.no_grad():
            ids = generate_text(**batch, max_new_tokens=NEW_TOKENS, do_sample=False)
        texts = tokens.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        for i, text in zip(chosen, texts, strict=True):
            out[i] = text
    return out


def read(text: str, name: str, labels: tuple[str, ...]) -> str | None:
    """Return the label an answer gives, or None if it is not the JSON asked for."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or list(found) != [name] or found[name] not in labels:
        return None
    return str(found[name])


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def tally(items: list[Item], answers: list[str]) -> dict[str, dict[str, float | int]]:
    """Return the scores of one condition: all, where mentioned, by kind, and validity.

    ``json`` is any JSON object, ``valid`` one with the field's own name and one of its labels.
    """
    said = [read(a, i.name, i.labels) for a, i in zip(answers, items, strict=True)]
    hits = [s == i.gold for s, i in zip(said, items, strict=True)]
    rows = {"all": Score(sum(hits), len(hits))}
    where = [h for h, i in zip(hits, items, strict=True) if i.mentioned]
    rows["mentioned"] = Score(sum(where), len(where))
    for kind in sorted({i.kind for i in items}):
        some = [h for h, i in zip(hits, items, strict=True) if i.kind == kind]
        rows[f"kind {kind}"] = Score(sum(some), len(some))
    rows["json"] = Score(sum(map(_is_object, answers)), len(answers))
    rows["valid"] = Score(sum(s is not None for s in said), len(said))
    return {name: score.row() for name, score in rows.items()}


def silent(items: list[Item]) -> Score:
    """Return the score of always answering as if the note said nothing: «no» or «unknown»."""
    return Score(sum(i.gold in ("no", "unknown") for i in items), len(items))


def evaluate(folder: Path, count: int, seed: int = SEED, free: int = 200) -> dict[str, object]:
    """Measure the model in a folder.

    Args:
        folder: Weights and tokenizer.
        count: Questions per condition.
        seed: Of the pages.
        free: How many of the questions are also answered without the constraint; 0 leaves out
            these and the label names never trained on.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokens = tokenizer.load(folder)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    lex = Lexicon(tokens)
    asked = plain_items(lex, count, seed) | rule_items(lex, count, seed)
    if free:
        strange = plain_items(lex, count, seed, LEVEL)
        asked |= {f"{name}; new label names": items for name, items in strange.items()}
        r = Random(f"eval:{seed}")
        old = pages(lex, USUAL, -(-count // USUAL.asked), seed + 1_000_000, held=False)
        fresh = [item(p, hinted(p, q, r, lex)) for p in old for q in p.questions]
        asked["hints; training's wordings"] = fresh[:count]
    report: dict[str, object] = {"questions per condition": count, "seed": seed}
    report["always no or unknown"] = {"all": silent(asked["bare"]).row()}
    for name, items in asked.items():
        report[name] = tally(items, constrained(model, tokens, items))
        if free and ";" not in name:
            items = items[:free]
            free_rows = tally(items, generated(model, tokens, [i.prompt for i in items]))
            report[f"{name}, unconstrained"] = {k: free_rows[k] for k in ("all", "json", "valid")}
    return report


def main() -> None:
    """Measure from the command line."""
    import torch

    parser = argparse.ArgumentParser(description="Measure nano on held-out wordings.")
    parser.add_argument("--model", type=Path, default=path(), help="folder of weights")
    parser.add_argument("--count", type=int, default=400, help="questions per condition")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--free", type=int, default=200, help="of them, also unconstrained")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report = evaluate(args.model, args.count, args.seed, args.free)
    text = json.dumps(report, indent=1)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
