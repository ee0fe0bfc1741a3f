"""From messages to token ids, by the model's own chat template.

Owns what keeps a note's text text: a special token that somebody typed is broken up before the
template is applied, so that nothing in a message can end it or open another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.core.errors import StudentError, boundary
from preceptor.core.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Chat:
    """Renders and tokenises prompts.

    Args:
        tokenizer: The model's tokenizer, with a chat template.

    Raises:
        StudentError: If it has no chat template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        if not tokenizer.chat_template:
            raise StudentError("the model's tokenizer has no chat template", "use an instruct model")
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        special = sorted((t.content for t in added if t.special), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special))) if special else None
        self._takes_system = True

    def ids(self, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Return the token ids of prompts, up to where the answer begins."""
        texts = [self.text(messages) for messages in prompts]
        if not texts:
            return []
        encoded = self._tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [list(one.ids) for one in encoded]

    def text(self, messages: Sequence[Message]) -> str:
        """Return the text of a prompt, up to where the answer begins.

        Raises:
            StudentError: If the template cannot be applied.
        """
        turns = [{"role": m.role, "content": self._plain(m.content)} for m in messages]
        if self._takes_system:
            from jinja2 import TemplateError

            try:
                return self._templated(turns)
            except (TemplateError, ValueError, TypeError) as error:
                # Some templates raise at a system message.
                if "system" not in str(error).lower():
                    raise StudentError("the model's chat template cannot be applied") from error
                self._takes_system = False
        head = "".join(f"{t['content']}\n\n" for t in turns if t["role"] == "system")
        rest = [t for t in turns if t["role"] != "system"]
        return self._templated([{**rest[0], "content": head + rest[0]["content"]}, *rest[1:]])

    def _templated(self, turns: list[dict[str, str]]) -> str:
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return str(text)

    def _plain(self, content: str) -> str:
        if self._special is None:
            return content
        return self._special.sub(lambda m: f"{m[0][0]} {m[0][1:]}", content)


def of_folder(folder: Path) -> Chat:
    """Return what renders prompts for the model whose tokenizer lies in ``folder``.

    Raises:
        StudentError: If transformers is missing, or there is no tokenizer.
    """
    with boundary(StudentError, f"no tokenizer in {str(folder)!r}", "pip install preceptor[local]"):
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        made = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not isinstance(made, PreTrainedTokenizerFast):
        raise StudentError(f"the model in {str(folder)!r} has no fast tokenizer")
    return Chat(made)
