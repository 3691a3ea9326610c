"""Calls to addresses that users entered: checked, pinned to the address that was checked, and bounded in time and size.

Whoever may enter an address could otherwise make this server call what only it can reach: a metadata service, a
database, a printer. So names are resolved once, every address that comes back must be public, and the connection goes
to one of those addresses and nowhere else: a name that resolves to something else a moment later changes nothing.
Redirects are not followed, and no proxy of the environment is used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from restock.errors import DataError, RestockError

_LONGEST_URL = 2_000
_HIGHEST_PORT = 65_535
_PORTS = {"https": 443, "http": 80}
# IPv4 addresses inside IPv6 ones, as networks without IPv4 translate them (RFC 6052).
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAMES = ("localhost",)

Resolve = Callable[[str, int], list[str]]


class WebhookAddressError(DataError):
    """An address is not one that webhooks go to."""

    title = "The address can't be called"


class CallError(RestockError):
    """A call did not come to an answer."""

    title = "The call failed"


@dataclass(frozen=True, kw_only=True)
class CallReply:
    """An answer.

    Attributes:
        status: HTTP status.
        retry_after_seconds: for how long the receiver wants to be left alone; None where it does not say.
    """

    status: int
    retry_after_seconds: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Target:
    url: httpx.URL
    host_header: str
    server_name: str


def check_url(url: str, *, is_local_allowed: bool) -> str:
    """Return an address that webhooks may be sent to, as far as it can be told without asking anybody.

    Args:
        url: as entered.
        is_local_allowed: whether it may be this machine, also over http.

    Raises:
        WebhookAddressError: it is too long, not https, has a password or a fragment, or is not public.
    """
    if len(url) > _LONGEST_URL:
        raise WebhookAddressError(f"url has {len(url)} characters, expected at most {_LONGEST_URL}.")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise WebhookAddressError(f"url {url[:100]!r} is not an address: {error}") from error
    if parsed.scheme not in _PORTS or not host:
        raise WebhookAddressError(f"url must be https://HOST/..., got {url[:100]!r}.")
    if parsed.port is not None and not 1 <= parsed.port <= _HIGHEST_PORT:
        raise WebhookAddressError(f"url of host {host} has port {parsed.port}, expected 1 to {_HIGHEST_PORT}.")
    if parsed.userinfo or parsed.fragment:
        raise WebhookAddressError(
            f"url of host {host} must hold no user, password or fragment. Receivers know restock by the signature."
        )
    literal = _parse_address(host)
    is_local = host in _LOCAL_NAMES if literal is None else literal.is_loopback
    if parsed.scheme == "http" and not (is_local and is_local_allowed):
        raise WebhookAddressError(f"url must be https://..., got http for host {host}.")
    if is_local and not is_local_allowed:
        raise WebhookAddressError(
            f"{host} is this machine. For a trial set RESTOCK_WEBHOOKS_ALLOW_LOCAL=true; else use a public address."
        )
    if literal is not None and not is_local and not _is_public(literal):
        raise WebhookAddressError(f"{host} is not a public address. Webhooks go to public addresses only.")
    return url


def resolve_name(host: str, port: int) -> list[str]:
    """Return the addresses of a host that this machine could reach, the preferred one first.

    Raises:
        OSError: the name is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class WebhookCaller:
    """Opens channels to receivers.

    Args:
        is_local_allowed: whether receivers may be on this machine, also over http.
        timeout_seconds: longest that one call may take, all in all.
        max_reply_bytes: so much of an answer is read; what comes after it is left.
        resolve: looks a name up.
        trust: certificates that receivers are checked by; None for those of the system.
    """

    def __init__(
        self,
        *,
        is_local_allowed: bool = False,
        timeout_seconds: float = 10.0,
        max_reply_bytes: int = 65_536,
        resolve: Resolve = resolve_name,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self._is_local_allowed = is_local_allowed
        self._max_reply_bytes = max_reply_bytes
        self._resolve = resolve
        self._trust = trust or ssl.create_default_context()

    @contextmanager
    def open(self, url: str) -> Iterator[Channel]:
        """Yield a channel to a receiver, pinned to the address that was checked; for some calls, then opened anew.

        Raises:
            CallError: the name is unknown or takes too long to look up.
            WebhookAddressError: the address is not one that webhooks go to.
        """
        check_url(url, is_local_allowed=self._is_local_allowed)
        with asyncio.Runner() as runner:
            target = runner.run(self._find_target(httpx.URL(url)))
            client = httpx.AsyncClient(
                verify=self._trust, trust_env=False, follow_redirects=False, timeout=self.timeout_seconds
            )
            try:
                yield Channel(
                    runner,
                    client,
                    target,
                    timeout_seconds=self.timeout_seconds,
                    max_reply_bytes=self._max_reply_bytes,
                )
            finally:
                runner.run(client.aclose())

    async def _find_target(self, url: httpx.URL) -> _Target:
        host = url.raw_host.decode("ascii")
        port = url.port or _PORTS[url.scheme]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                addresses = await loop.run_in_executor(None, self._resolve, host, port)
        except TimeoutError as error:
            raise CallError(f"{host} could not be looked up within {self.timeout_seconds:g} s.") from error
        except (OSError, UnicodeError) as error:
            raise CallError(f"{host} could not be looked up: {error}") from error
        if not addresses:
            raise CallError(f"{host} has no address.")
        for address in addresses:
            self._require_allowed(host, address, scheme=url.scheme)
        return _Target(url=url.copy_with(host=addresses[0]), host_header=url.netloc.decode("ascii"), server_name=host)

    def _require_allowed(self, host: str, address: str, *, scheme: str) -> None:
        parsed = _parse_address(address)
        if parsed is not None and parsed.is_loopback and self._is_local_allowed:
            return
        if parsed is None or scheme != "https" or not _is_public(parsed):
            raise WebhookAddressError(
                f"{host} leads to {address}, which is not a public address. Webhooks go to public addresses only."
            )


class Channel:
    """A receiver's address, checked, and a connection to it that is kept between calls.

    Args:
        runner: runs the calls; a call is bounded as a whole only where it can be cancelled.
        client: makes them.
        target: the pinned address.
        timeout_seconds: longest that a call may take.
        max_reply_bytes: so much of an answer is read.
    """

    def __init__(
        self,
        runner: asyncio.Runner,
        client: httpx.AsyncClient,
        target: _Target,
        *,
        timeout_seconds: float,
        max_reply_bytes: int,
    ) -> None:
        self._runner = runner
        self._client = client
        self._target = target
        self._timeout_seconds = timeout_seconds
        self._max_reply_bytes = max_reply_bytes

    def post(self, body: bytes, headers: Mapping[str, str]) -> CallReply:
        """Return the answer to a POST.

        Raises:
            CallError: none came in time, or the connection failed.
        """
        return self._runner.run(self._post(body, headers))

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> CallReply:
        request = self._client.build_request(
            "POST",
            self._target.url,
            content=body,
            headers={**headers, "host": self._target.host_header},
            extensions={"sni_hostname": self._target.server_name},
        )
        host = self._target.server_name
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reply = await self._client.send(request, stream=True)
                try:
                    await self._read_some(reply)
                finally:
                    await reply.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise CallError(f"{host} did not answer within {self._timeout_seconds:g} s.") from error
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise CallError(f"{host} could not be called: {error or type(error).__name__}") from error
        return CallReply(status=reply.status_code, retry_after_seconds=_read_retry_after(reply))

    async def _read_some(self, reply: httpx.Response) -> None:
        """Read a short answer to its end, so that the connection can be used again."""
        n_bytes = 0
        async for chunk in reply.aiter_raw():
            n_bytes += len(chunk)
            if n_bytes > self._max_reply_bytes:
                return


def _read_retry_after(reply: httpx.Response) -> int | None:
    text = reply.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, an IPv4 one also where it comes inside an IPv6 one; None where the text is a name."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        teredo = address.teredo
        return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
    return address


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
