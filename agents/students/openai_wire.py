"""One request of an OpenAI client, over its own connections and with its own errors.

Owns the way round the client's machinery: it puts headers, options and types together anew for every
call, which costs more than all the rest of one, and holds up the other calls under way.
"""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import TYPE_CHECKING, cast

from preceptor.agents.students.transport import HangUp, install

if TYPE_CHECKING:
    import httpx
    import openai


class Posting:
    """Posts JSON for a client.

    Args:
        client: Its address, headers, time limit and errors are used.

    Attributes:
        hang_up: Ends the requests of threads.
    """

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client
        self._http = cast("httpx.Client", client._client)
        self._lib = importlib.import_module(type(self._http._transport).__module__.partition(".")[0])
        self.hang_up: HangUp = install(self._http)

    @cached_property
    def _headers(self) -> dict[str, str]:
        # What the client leaves out stands there as a sign of its own.
        given = {**self._client.default_headers, **self._client.auth_headers}
        return {k: v for k, v in given.items() if isinstance(v, str)}

    def post(self, path: str, body: dict[str, object]) -> object:
        """Return the JSON that comes back.

        Args:
            path: Under the client's address.
            body: What is sent.

        Raises:
            openai.OpenAIError: As the client would.
            ValueError: If it is no JSON.
        """
        import openai

        where = str(self._client.base_url).rstrip("/") + path
        timeout = cast("float", self._client.timeout)
        sent = self._http.build_request(
            "POST", where, json=body, headers=self._headers, timeout=timeout
        )
        try:
            got = self._http.send(sent)
        except self._lib.TimeoutException as error:
            raise openai.APITimeoutError(request=sent) from error  # type: ignore[arg-type]
        except self._lib.TransportError as error:
            raise openai.APIConnectionError(request=sent) from error  # type: ignore[arg-type]
        if got.is_error:
            raise self._client._make_status_error_from_response(got)  # type: ignore[arg-type]
        return got.json()
