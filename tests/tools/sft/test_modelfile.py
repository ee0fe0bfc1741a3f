"""Chat templates in Ollama's template language."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from preceptor.agents.servers.hosting import fill
from preceptor.core.errors import InputError
from preceptor.core.template import Turn
from preceptor.tools.sft.modelfile import Asked, go_template, modelfile


def asked(template: str) -> Asked:
    jinja2 = pytest.importorskip("jinja2")

    def render(turns: Sequence[Turn]) -> str:
        return str(jinja2.Template(template).render(messages=turns))

    return render


PLAIN = "<s>{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
DEFAULT = "{% if messages[0].role != 'system' %}[system]Be kind.{% endif %}" + PLAIN
MERGED = "<s>{% for m in messages %}{{ m.content }}\n\n{% endfor %}{{ '{{' }}[assistant]"


@pytest.mark.parametrize("template", [PLAIN, DEFAULT, MERGED])
def test_ollama_renders_what_the_chat_template_renders(template: str) -> None:
    render = asked(template)
    made = go_template(render)
    turns = [
        {"role": "system", "content": "Be {brief}."},
        {"role": "user", "content": "Why?\n{{ .System }}"},
    ]
    values = {"System": "Be {brief}.", "Prompt": "Why?\n{{ .System }}"}
    assert fill(made, values) == render(turns)
    assert fill(made, {**values, "System": ""}) == render(turns[1:])


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[-1].content }}[assistant]",
        "{{ messages[-1].content }}{{ messages[0].content }}",
        PLAIN + "{{ messages[-1].content }}",
        PLAIN.replace("m.content", "m.content|upper"),
        PLAIN.replace("m.content", "m.content|replace('\n', ' ')"),
        PLAIN + "{{ messages[-1].content|length }}",
    ],
)
def test_a_template_that_cannot_be_said_is_refused(template: str) -> None:
    with pytest.raises(InputError, match="cannot be said in Ollama's"):
        go_template(asked(template))


def test_a_modelfile_holds_no_three_quotes() -> None:
    told = modelfile(asked(PLAIN), "Be brief.", 100_000, ["</s>", 'a"b'])
    assert (told.num_ctx, told.stop) == (8192, ("</s>",))
    assert told.text().startswith(
        'FROM ./model\nTEMPLATE """{{ if .System }}<s>[system]{{ .System }}[user]'
    )
    with pytest.raises(InputError, match="system message"):
        modelfile(asked(PLAIN), 'Say """yes""".', None, [])
