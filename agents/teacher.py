"""Teachers by name: ``rules``, ``openai:gpt-4o``, ``openai:NAME@URL``, ``ollama:NAME``, and others.

Owns how a name becomes a teacher. Leaves a turn to ``agents.chat`` and ``agents.rules``. LangChain's
own retries are switched off: hidden ones would escape the ledger and the breaker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from preceptor.agents.students.ollama_wire import never_cut
from preceptor.core import keys, served, wire
from preceptor.core.egress import Door
from preceptor.core.errors import InputError, TeacherError, boundary
from preceptor.core.ports import Teacher

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from preceptor.agents.meaning import Meaning


SPECS = (
    "rules, openai:NAME, openai:NAME@URL, ollama:NAME, ollama:NAME@URL, or PROVIDER:NAME of LangChain"
)

LOCAL_KEY = "not-needed"
"""What a server of one's own gets where no key is set: the client demands one."""


@dataclass(frozen=True)
class TeacherOptions:
    """What can be set on a chat teacher.

    Attributes:
        timeout: Seconds to wait for one answer, without retries.
        retries: How often a turn is tried again when the server cannot be reached, is too slow, or
            answers 429 or 5xx.
        temperature: How the model samples; None leaves it to the server (some models refuse it).
        max_tokens: The most tokens of one answer.
        brief_tokens: The most tokens of the brief (estimated).
        api_key: For ``openai:``; the server's own, see ``core.keys``, if empty.
        keys: The variables that hold the keys of servers, as in the settings (``api_key_env``).
        transcript_tokens: The most tokens of a round's earlier turns and tool results (estimated).
        door: The gate that everything that is sent passes; None for a model on this machine.
        meaning: What phrases mean, for the rule teacher; it counts words alone if None.
        context: The most tokens that the model reads and writes; what its server tells if 0.
        say: Hears that a server is asked again.
    """

    timeout: float = 120.0
    retries: int = 3
    temperature: float | None = None
    max_tokens: int = 4096
    brief_tokens: int = 10_000
    api_key: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    transcript_tokens: int = 6_000
    door: Door | None = None
    meaning: Meaning | None = None
    context: int = 0
    say: Callable[[str], None] = lambda line: None


def check(spec: str, options: TeacherOptions | None = None) -> None:
    """Refuse a model whose server says that it cannot teach; a server that is silent is no error.

    Raises:
        InputError: If the spec names no teacher, the server does not have it, or it takes no tools.
        TeacherError: If the model cannot be set up.
    """
    from preceptor.agents import capabilities, chat

    make(spec, options)
    found = capabilities.of(spec, options.api_key if options else "", options.keys if options else None)
    if found.missing:
        name = served.read(spec).model
        raise InputError(f"teacher {spec!r}: its server does not have it", f"ollama pull {name}")
    if found.tools is False:
        raise InputError(*chat.no_tools(spec))


def tried(spec: str, options: TeacherOptions) -> tuple[Literal["ok", "note"], str]:
    """Ask a model for one tool call; return how that went, and what to say of it.

    Raises:
        InputError: If the spec names no teacher.
        TeacherError: If no answer comes.
    """
    from preceptor.agents import capabilities, chat, tool_trial

    named = served.read(spec)
    fewer = replace(options, max_tokens=chat.CALL_TOKENS)
    model = chat_model(named.kind, named.model, named.url, fewer)
    known = capabilities.of(spec, options.api_key, options.keys)
    return tool_trial.tried(spec, model, known, options.context)


def make(spec: str, options: TeacherOptions | None = None) -> Teacher:
    """Return the teacher that ``spec`` names. Nothing is sent yet.

    Args:
        spec: See the module's first line.
        options: The rule teacher takes ``meaning`` alone.

    Raises:
        InputError: If the spec names no teacher.
        TeacherError: If the model cannot be set up: a missing key, a package that is not installed.
    """
    if spec == "rules":
        from preceptor.agents.rules import RuleTeacher

        return RuleTeacher(meaning=options.meaning if options else None)
    kind, _, rest = spec.partition(":")
    if not kind or not rest:
        raise InputError(f"no teacher {spec!r}", f"one of: {SPECS}")
    from preceptor.agents.chat import ChatTeacher

    options = options or TeacherOptions()
    named = served.read(spec)
    if named.url and "://" not in named.url:
        raise InputError(
            f"teacher {spec!r}: {named.url!r} is no URL", "write openai:NAME@http://HOST:PORT/v1"
        )
    served.leads_to(named)
    hint = "see the provider's package and key; preceptor doctor shows what is there"
    with boundary(TeacherError, f"teacher {spec!r} cannot be set up", hint):
        model = chat_model(kind, named.model, named.url, options)
    return ChatTeacher(spec, model, options)


def chat_model(kind: str, name: str, url: str, options: TeacherOptions) -> BaseChatModel:
    """Return LangChain's model, its own retries switched off; what goes wrong is the provider's error.

    Args:
        kind: The provider.
        name: The model's name there.
        url: The server, empty for the provider's own.
        options: Time limit, temperature, length of an answer.
    """
    if kind == "openai":
        return _openai(name, url, options)
    if kind == "ollama":
        return _ollama(name, url, options)
    from langchain.chat_models import init_chat_model

    model: BaseChatModel = init_chat_model(
        name,
        model_provider=kind,
        timeout=options.timeout,
        max_retries=0,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
    )
    wire.seal(model)
    return model


def _openai(name: str, url: str, options: TeacherOptions) -> BaseChatModel:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    address = served.openai(url)
    key = options.api_key or keys.openai(address, options.keys)
    if not key and address.url == served.OPENAI:
        raise TeacherError(f"no key for openai:{name}", "set OPENAI_API_KEY, or use openai:NAME@URL")
    return ChatOpenAI(
        model=name,
        base_url=address.url,
        api_key=SecretStr(key or LOCAL_KEY),
        timeout=options.timeout,
        max_retries=0,
        temperature=options.temperature,
        max_completion_tokens=options.max_tokens,
        # The model's name would decide otherwise, and only OpenAI itself knows that path.
        use_responses_api=False if url else None,
        http_client=wire.openai_client(address, options.timeout),
        http_async_client=wire.openai_async_client(),
        # The environment's own proxy for this client would stand beside ours.
        openai_proxy="",
        http_socket_options=(),
    )


def _ollama(name: str, url: str, options: TeacherOptions) -> BaseChatModel:
    # The library, too, reads OLLAMA_HOST, when it is imported.
    served.ollama()
    from langchain_ollama import ChatOllama

    address = served.ollama(url)
    sends = wire.settings(address, key=keys.ollama(address, options.keys))
    sends["event_hooks"]["request"].append(never_cut)
    return ChatOllama(
        model=name,
        base_url=address.url,
        temperature=options.temperature,
        num_predict=options.max_tokens,
        num_ctx=options.brief_tokens + options.transcript_tokens + 2 * options.max_tokens,
        client_kwargs={"timeout": options.timeout},
        sync_client_kwargs=sends,
        # Nothing asks through it; if something did, it would go nowhere else either.
        async_client_kwargs={"follow_redirects": False, "trust_env": not address.is_local},
    )
