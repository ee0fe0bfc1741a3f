"""What Ollama is told beside the weights: its template, its parameters, its Modelfile.

Owns the way from a model's own chat template to Ollama's Go template. The chat template is a program;
what counts is what it renders for one system and one user message, which is all that a student is ever
asked with. So it is rendered with words that stand for the two messages, and the text around these
words is the template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from preceptor.core.errors import InputError
from preceptor.core.record import Record
from preceptor.core.template import Turn

Asked = Callable[[Sequence[Turn]], str]
"""Renders a prompt, as ``tokens.Template.asked`` does."""

_STAND_INS = (("Kestrel seven", "Marmot nine"), ("aaa: bbb.\n\n- ccc", "ddd?\n{ eee } fff"))
_QUOTES = '"' * 3
LONGEST = 8192
"""The window that the Modelfile asks for, at most; a student asks for what a note needs."""


class Modelfile(Record):
    """What Ollama is told.

    Attributes:
        template: In Go's template language, over ``.System`` and ``.Prompt``.
        system: The system message, if a request brings none.
        num_ctx: Tokens of the window.
        stop: Texts that end an answer.
    """

    template: str
    system: str
    num_ctx: int
    stop: tuple[str, ...]

    def text(self) -> str:
        """Return the Modelfile that stands beside the folder ``model``."""
        lines = [
            "FROM ./model",
            f"TEMPLATE {_QUOTES}{self.template}{_QUOTES}",
            f"SYSTEM {_QUOTES}{self.system}{_QUOTES}",
            "PARAMETER temperature 0",
            f"PARAMETER num_ctx {self.num_ctx}",
            *(f'PARAMETER stop "{word}"' for word in self.stop),
        ]
        return "\n".join(lines) + "\n"


def modelfile(asked: Asked, system: str, context: int | None, stop: Sequence[str]) -> Modelfile:
    """Return what Ollama is told.

    Args:
        asked: Renders a prompt with the model's chat template.
        system: The system message.
        context: The longest prompt and answer that the model reads.
        stop: Texts that end an answer.

    Raises:
        InputError: If the chat template cannot be said in Ollama's, or a text in a Modelfile.
    """
    made = Modelfile(
        template=go_template(asked),
        system=system,
        num_ctx=min(context or LONGEST, LONGEST),
        stop=tuple(word for word in stop if '"' not in word and "\n" not in word),
    )
    # A quote at the end would join the three that close the text.
    for name, text in (("chat template", made.template), ("system message", made.system)):
        if _QUOTES in text or text.endswith('"'):
            raise InputError(
                f"the {name} has quotes that a Modelfile cannot hold",
                "change the instruction" if name == "system message" else "choose another base model",
            )
    return made


def go_template(asked: Asked) -> str:
    """Return Ollama's template for a chat template.

    Raises:
        InputError: If it does not render the two messages once each, in their order, as they are.
    """
    first, second = (_around(asked, *words) for words in _STAND_INS)
    if first != second:
        raise _untranslatable("it changes with what a message says")
    before, between, after = map(_literal, first[0])
    alone, end = map(_literal, first[1])
    return (
        f"{{{{ if .System }}}}{before}{{{{ .System }}}}{between}{{{{ .Prompt }}}}{after}"
        f"{{{{ else }}}}{alone}{{{{ .Prompt }}}}{end}{{{{ end }}}}"
    )


def _around(asked: Asked, system: str, user: str) -> tuple[list[str], list[str]]:
    """Return what stands around both messages, and around the user's alone."""
    turn: Turn = {"role": "user", "content": user}
    both = asked([{"role": "system", "content": system}, turn])
    return _cut(both, [system, user]), _cut(asked([turn]), [user])


def _cut(text: str, words: Sequence[str]) -> list[str]:
    pieces = []
    for word in words:
        head, found, text = text.partition(word)
        if not found or word in text:
            raise _untranslatable("it leaves out, repeats, moves or changes a message")
        pieces.append(head)
    return [*pieces, text]


def _literal(text: str) -> str:
    """Return a text as Go's template language writes it."""
    return text.replace("{{", '{{ "{{" }}')


def _untranslatable(why: str) -> InputError:
    return InputError(
        f"the model's chat template cannot be said in Ollama's: {why}", "choose another base model"
    )
