"""Own the way from a page to token ids, through the project's one renderer and the chat template.

A page becomes one shared prefix (system message, worked examples, note) and one suffix per question
(field block and answer), which is how training shares a note among its questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from preceptor.core import render
from preceptor.core.fields import LabelField
from preceptor.core.records import Example, Guide, ModelRef, Prompt, Recipe, Shot
from preceptor.nano.generate import Page, Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BREAK = "</note>\n"
KINDS = "ANHFPMU"
MODEL = ModelRef(spec="nano")


@dataclass(frozen=True)
class Encoded:
    """Token ids of a page.

    Attributes:
        prefix: Everything up to the end of the note.
        suffixes: Field block, answer and end, per question.
        starts: Where the answer begins in each suffix.
        labels: Where the label's tokens are in each suffix: first and one past the last.
        spoken: Where the labels of worked examples are in the prefix: first and one past the last
            token of each whose label stood in an earlier example already.
        marks: Places in each suffix (the end of every hint, of the field block) with what kind
            of mention the note has for it: an index into ``KINDS``.
    """

    prefix: list[int]
    suffixes: list[list[int]]
    starts: list[int]
    labels: list[tuple[int, int]]
    marks: list[list[tuple[int, int]]]
    spoken: tuple[tuple[int, int], ...] = ()


def ask(page: Page, question: Question) -> tuple[Recipe, LabelField]:
    """Return a question as the recipe and field that the project would render."""
    guide = Guide(meaning=question.meaning, look_for=question.hints, rules=question.rules)
    prompt = Prompt(instruction=page.instruction, rules=page.rules, guides={question.name: guide})
    labels = question.scheme
    field = LabelField(name=question.name, values=labels.order, meanings=labels.meanings)
    shots = tuple(
        Shot(example_id=str(i), group="g", text=text, answer={question.name: label})
        for i, (text, label) in enumerate(question.shots)
    )
    return Recipe(model=MODEL, prompt=prompt, shots=shots), field


def chat(page: Page, question: Question) -> tuple[str, str, str]:
    """Return the system message, the user message and the right answer of a question."""
    recipe, field = ask(page, question)
    example = Example(id="n", group="g", text=page.note)
    system, user = render.messages(recipe, (field,), example)
    return system.content, user.content, render.answer_text({question.name: question.gold}, (field,))


def texts(page: Page) -> tuple[str, list[tuple[str, str]]]:
    """Return the prefix text, and per question the rest of the prompt and the answer."""
    rest = []
    prefix = ""
    for question in page.questions:
        system, user, answer = chat(page, question)
        cut = user.index(BREAK) + len(BREAK)
        prefix = f"<|bos|><|system|>{system}<|end|><|user|>{user[:cut]}"
        rest.append((f"{user[cut:]}<|end|><|assistant|>", f"{answer}<|end|>"))
    return prefix, rest


def encode(
    pages: list[Page], tokenizer: PreTrainedTokenizerFast, marks_only: bool = False
) -> list[Encoded]:
    """Return the token ids of pages.

    Args:
        pages: Notes with questions.
        tokenizer: Nano's.
        marks_only: Cut every question after its last hint: nothing is answered.
    """
    cut = [texts(page) for page in pages]
    flat = [text for prefix, rest in cut for text in (prefix, *(t for pair in rest for t in pair))]
    encoded = iter(tokenizer.backend_tokenizer.encode_batch(flat, add_special_tokens=False))
    out = []
    for page, (opening_text, rest) in zip(pages, cut, strict=True):
        opened = next(encoded)
        prefix = opened.ids
        suffixes, starts, labels, marks = [], [], [], []
        for question, (text, _) in zip(page.questions, rest, strict=True):
            block, answered = next(encoded), next(encoded).ids
            asked = block.ids
            opening = _label_start(answered, tokenizer)
            suffixes.append([*asked, *answered])
            starts.append(len(asked))
            labels.append((len(asked) + opening, len(asked) + len(answered) - 2))
            ends = [(block.char_to_token(at), KINDS.index(k)) for at, k in _ends(question, text)]
            kept = [(at, k) for at, k in ends if at is not None]
            if marks_only:
                kept = kept[: len(question.hints)]
                suffixes[-1] = suffixes[-1][: kept[-1][0] + 1 if kept else 2]
                starts[-1], labels[-1] = len(suffixes[-1]), (len(suffixes[-1]),) * 2
            marks.append(kept)
        spots = [(opened.char_to_token(a), opened.char_to_token(b)) for a, b in _said(opening_text)]
        spoken = tuple((a, b + 1) for a, b in spots if a is not None and b is not None)
        out.append(Encoded(prefix, suffixes, starts, labels, marks, spoken))
    return out


def _said(prefix: str) -> list[tuple[int, int]]:
    """Return the first and last character of the worked labels that an earlier example has too."""
    head, opened, rest = prefix.partition("Examples:\n")
    if not opened:
        return []
    at, known, out = len(head) + len(opened), set(), []
    for line in rest.partition("\n<note>")[0].splitlines(keepends=True):
        text, arrow, label = line.rstrip("\n").rpartition(" => ")
        if arrow and label in known:
            out.append((at + len(text) + len(arrow), at + len(text) + len(arrow) + len(label) - 1))
        known.add(label)
        at += len(line)
    return out


def _ends(question: Question, text: str) -> list[tuple[int, str]]:
    """Return where each hint and the field block end, with the kind of mention each has."""
    kinds = dict(question.seen)
    out = []
    at = text.find("Look for: ") + len("Look for: ")
    for hint in question.hints:
        out.append((at + len(hint) - 1, kinds.get(hint, "U")))
        at += len(hint) + 2
    if not question.shots and (question.hints or question.meaning):
        out.append((text.rindex("<|end|>") - 1, question.kind))
    return out


def _label_start(answer: list[int], tokenizer: PreTrainedTokenizerFast) -> int:
    opening = tokenizer.backend_tokenizer.token_to_id('Ġ"') or 0
    return len(answer) - answer[::-1].index(opening)
