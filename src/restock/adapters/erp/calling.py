"""Calls of an ERP over HTTP: time limits, a few tries with growing pauses, a bound on replies, nothing secret told."""

from __future__ import annotations

import ipaddress
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx

from restock.adapters.erp.interface import ErpFaultError, ErpReplyError, ErpUnavailableError
from restock.errors import ConfigurationError

logger = logging.getLogger(__name__)

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long and how often an ERP is asked.

    Attributes:
        timeout_seconds: for connecting, and between two pieces of a reply.
        n_tries: at most; the first counts.
        first_pause_seconds: upper end of the pause after the first try; it doubles with each.
        longest_pause_seconds: no pause is longer, whatever the ERP asks for.
        max_reply_bytes: a longer reply is refused.
    """

    timeout_seconds: float = 30.0
    n_tries: int = 5
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 30.0
    max_reply_bytes: int = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply with a status that is not about being busy."""

    status: int
    content: Any


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An HTTP connection to one ERP.

    Attributes:
        http: the connections.
        shown: the address for people.
        secrets: what never appears in a message.
        patience: time limits and tries.
        sleep: waits for some seconds.
        rng: spreads the pauses, so that many who were refused together don't come back together.
    """

    http: httpx.Client = field(repr=False)
    shown: str
    secrets: tuple[str, ...] = field(repr=False)
    patience: Patience
    sleep: Callable[[float], None] = field(repr=False)
    rng: random.Random = field(repr=False)

    def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Reply:
        """Return the reply; tried again where it may help, so what is called must bear being called twice.

        Raises:
            ErpFaultError: the last reply was that the ERP broke.
            ErpUnavailableError: no reply came, or only that the ERP is busy, as often as was tried.
            ErpReplyError: the reply is too long, leads elsewhere or is no JSON.
        """
        fault, is_broken = "nothing was tried", False
        content = None if body is None else _as_json(body)
        for attempt in range(1, self.patience.n_tries + 1):
            asked_pause, is_broken = 0.0, False
            try:
                status, text, asked_pause = self._send(method, path, query=query, content=content)
            except httpx.TimeoutException:
                fault = f"no reply within {self.patience.timeout_seconds:g} s"
            except httpx.TransportError as error:
                fault = f"{type(error).__name__}: {self.without_secrets(str(error))}"
            else:
                if status not in _BUSY:
                    return Reply(status=status, content=self._read_json(text, status=status))
                is_broken = status == httpx.codes.INTERNAL_SERVER_ERROR
                fault = f"status {status}: {self.without_secrets(_tell_of(text))}"
            if attempt < self.patience.n_tries:
                self._pause(attempt, fault=fault, asked=asked_pause)
        kind = ErpFaultError if is_broken else ErpUnavailableError
        raise kind(
            f"{self.shown} could not be asked in {self.patience.n_tries} tries; the last: {fault}. What was done until "
            "then is kept: run the same again later."
        )

    def without_secrets(self, text: str) -> str:
        """Return words for people, cut short and with every secret left out."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."

    def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None, content: bytes | None
    ) -> tuple[int, str, float]:
        """Return status, body and the pause that the ERP asks for, seconds."""
        headers = {} if content is None else {"Content-Type": "application/json"}
        with self.http.stream(method, path, params=query, content=content, headers=headers) as response:
            if 300 <= response.status_code < 400:
                raise ErpReplyError(
                    f"{self.shown} leads elsewhere (status {response.status_code}), which is not followed: the "
                    "credentials would go along. Set the address that it leads to."
                )
            read = bytearray()
            for piece in response.iter_bytes():
                read += piece
                if len(read) > self.patience.max_reply_bytes:
                    raise ErpReplyError(
                        f"{self.shown} sent more than {self.patience.max_reply_bytes:,} bytes in one reply. Ask for "
                        "smaller pages."
                    )
            return response.status_code, read.decode("utf-8", "replace"), _asked_pause(response)

    def _pause(self, attempt: int, *, fault: str, asked: float) -> None:
        longest = min(self.patience.first_pause_seconds * 2 ** (attempt - 1), self.patience.longest_pause_seconds)
        seconds = max(self.rng.uniform(0, longest), min(asked, self.patience.longest_pause_seconds))
        logger.info("%s: try %d failed (%s), again in %.1f s", self.shown, attempt, fault, seconds)
        self.sleep(seconds)

    def _read_json(self, text: str, *, status: int) -> Any:
        try:
            # Amounts and quantities are exact as they are written; a float would not be.
            return json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise ErpReplyError(
                f"{self.shown} answered with status {status} and something that is no JSON: "
                f"{self.without_secrets(_tell_of(text))!r}. Check that the address is the ERP's own."
            ) from None


def open_caller(
    url: str,
    *,
    secrets: tuple[str, ...],
    headers: Mapping[str, str] | None = None,
    is_http_allowed: bool = False,
    patience: Patience | None = None,
    sleep: Callable[[float], None] = time.sleep,
    rng: random.Random | None = None,
) -> Caller:
    """Return a caller of the ERP at an address.

    Raises:
        ConfigurationError: the address is none, holds credentials, or is not encrypted though it is elsewhere.
    """
    patience = patience or Patience()
    http = httpx.Client(
        base_url=checked_url(url, is_http_allowed=is_http_allowed),
        headers=dict(headers or {}),
        timeout=patience.timeout_seconds,
        follow_redirects=False,
        # A .netrc would put its own credentials into the requests.
        trust_env=False,
    )
    return Caller(
        http=http,
        shown=shown_address(url),
        secrets=tuple(sorted((each for each in secrets if each), key=len, reverse=True)),
        patience=patience,
        sleep=sleep,
        rng=rng or random.SystemRandom(),
    )


def checked_url(url: str, *, is_http_allowed: bool) -> str:
    """Return an address that credentials may be sent to.

    Raises:
        ConfigurationError: it is none, holds credentials, or is not encrypted though it is elsewhere.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise ConfigurationError("the ERP's address is none, expected such as https://erp.example.com.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"{shown_address(url)} is no address of an ERP, expected https://HOST.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{shown_address(url)}: the ERP's address must not hold credentials or a query. Set them on their own."
        )
    if parts.scheme == "http" and not (is_http_allowed or _is_loopback(host)):
        raise ConfigurationError(
            f"{shown_address(url)} is not encrypted: credentials would travel in the clear. Use https, or set "
            "RESTOCK_ERP_ALLOW_HTTP=true where the network between is trusted."
        )
    return url.rstrip("/")


def shown_address(url: str) -> str:
    """Return an address for people: without user, password and query.

    Example:
        >>> shown_address("https://me:pw@erp.example.com/a?x=1")
        'https://erp.example.com/a'
    """
    scheme, _, rest = url.partition("://")
    rest = rest.split("?")[0].split("#")[0]
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}".rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _as_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, default=_plain, ensure_ascii=False, allow_nan=False).encode()


def _plain(value: object) -> float | int:
    """Return a decimal as the number that JSON can hold: the ERPs keep floats themselves."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} does not go into JSON")


def _asked_pause(response: httpx.Response) -> float:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 0.0


def _tell_of(text: str) -> str:
    return " ".join(text.split())[: 2 * _SHOWN_CHARACTERS]
