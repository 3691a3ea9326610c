"""The keys that an OpenID Connect issuer signs with: fetched when needed, kept, and fetched anew now and then."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from restock.errors import AuthenticationError, ConfigurationError, NotReadyError

logger = logging.getLogger(__name__)

# Signatures with a key pair; never `none`, and never HMAC, for which our public key would be the secret.
ALGORITHMS = ("RS256", "ES256")
_SMALLEST_RSA_BITS = 2_048
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_FETCH_SECONDS = 3.0
_MOST_BYTES = 1_000_000
# Keys are fetched anew after so long, so that a withdrawn one ends.
_REFRESH_SECONDS = 3_600.0
# An unknown key asks for a fetch; whoever makes keys up gets no more than one in so many seconds.
_PAUSE_SECONDS = 30.0
# An issuer that does not answer is believed so long on what it said last.
_OLDEST_SECONDS = 86_400.0


class SigningKeys:
    """The keys of an issuer.

    Args:
        issuer: its address; https, but for one on this machine.
        clock: returns seconds that only rise.

    Raises:
        ConfigurationError: the address is not one that may be trusted.
    """

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        _require_safe(issuer)
        self._issuer = issuer
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def find(self, kid: str) -> jwt.PyJWK:
        """Return the key of that id.

        Raises:
            AuthenticationError: the issuer has no such key.
            NotReadyError: the issuer does not answer, and what it said last is too old.
        """
        with self._lock:
            if kid not in self._keys or self._age() >= _REFRESH_SECONDS:
                self._refresh()
            if self._age() >= _OLDEST_SECONDS:
                raise NotReadyError("the issuer of the token does not answer, so nobody can check it. Try again.")
            key = self._keys.get(kid)
        if key is None:
            raise AuthenticationError("the token is signed with a key that its issuer does not have (now).")
        return key

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _refresh(self) -> None:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < _PAUSE_SECONDS:
            return
        self._tried_at = now
        try:
            self._keys = _fetch_keys(self._issuer)
        except (httpx.HTTPError, ValueError, KeyError, TypeError, ConfigurationError) as error:
            logger.warning("the keys of the issuer %s could not be fetched: %s", self._issuer, error)
            return
        self._fetched_at = now
        logger.info("%d keys of the issuer %s", len(self._keys), self._issuer)


def _fetch_keys(issuer: str) -> dict[str, jwt.PyJWK]:
    with httpx.Client(timeout=_FETCH_SECONDS, follow_redirects=False) as client:
        described = _fetch(client, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if described["issuer"] != issuer:
            raise ValueError(f"it calls itself {str(described['issuer'])[:200]!r}")
        address = str(described["jwks_uri"])
        _require_safe(address)
        listed = _fetch(client, address)["keys"]
    keys = {}
    for one in listed:
        key = _usable_key(one)
        if key is not None:
            keys[str(one["kid"])] = key
    return keys


def _fetch(client: httpx.Client, address: str) -> dict[str, Any]:
    with client.stream("GET", address, headers={"accept": "application/json"}) as reply:
        if reply.status_code != httpx.codes.OK:
            raise ValueError(f"{address} answered {reply.status_code}")
        body = b""
        for chunk in reply.iter_bytes():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError(f"{address} answered more than {_MOST_BYTES} bytes")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise TypeError(f"{address} answered no JSON object")
    return document


def _usable_key(one: Mapping[str, Any]) -> jwt.PyJWK | None:
    """Return a key that signatures may be checked with; None for one of another kind."""
    if not isinstance(one, dict) or not one.get("kid") or one.get("use", "sig") != "sig":
        return None
    if one.get("kty") == "EC" and one.get("crv") != "P-256":
        return None
    try:
        key = jwt.PyJWK(one)
    except jwt.exceptions.PyJWTError:
        return None
    is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < _SMALLEST_RSA_BITS
    return None if is_short or key.algorithm_name not in ALGORITHMS else key


def _require_safe(address: str) -> None:
    parts = urlsplit(address)
    is_near = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or (parts.scheme != "https" and not is_near):
        raise ConfigurationError(
            f"the OpenID Connect issuer and its keys must be at https://…, got {address[:200]!r}. Check "
            "RESTOCK_OIDC_ISSUER."
        )
