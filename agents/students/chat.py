"""From messages to token ids, by the model's own chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.core import foreign
from preceptor.core.errors import StudentError
from preceptor.core.records import Message
from preceptor.core.template import ChatTemplate, Turn, undated

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
        self._template = ChatTemplate(tokenizer)
        self._told = undated(tokenizer.chat_template)

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
        turns = [{"role": m.role, "content": m.content} for m in messages]
        trouble = StudentError("the model's chat template cannot be applied")
        return self._template.apply(turns, self._templated, trouble)

    def _templated(self, turns: list[Turn]) -> str:
        text = self._tokenizer.apply_chat_template(
            turns, chat_template=self._told, tokenize=False, add_generation_prompt=True
        )
        return str(text)


def of_folder(folder: Path) -> Chat:
    """Return what renders prompts for the model whose tokenizer lies in ``folder``.

    Raises:
        StudentError: If transformers is missing, or there is no tokenizer.
    """
    what, hint = f"no tokenizer in {str(folder)!r}", "pip install preceptor[local]"
    with foreign.loading(StudentError, what, hint):
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        made = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not isinstance(made, PreTrainedTokenizerFast):
        raise StudentError(f"the model in {str(folder)!r} has no fast tokenizer")
    return Chat(made)
