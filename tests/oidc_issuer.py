"""An OpenID Connect issuer on loopback: real keys, real HTTP, and whatever a test wants it to get wrong."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "restock"


@cache
def rsa_key(number=0, bits=2048):
    """Return an RSA key; the same one for the same number."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(curve=ec.SECP256R1):
    return ec.generate_private_key(curve())


def public_jwk(key, kid, **changes):
    """Return a key as an issuer publishes it."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"} | changes


class Issuer:
    """An issuer: `keys` is what it publishes, `documents` what it answers instead, by path."""

    def __init__(self, address):
        self.address = address
        self.keys = [public_jwk(rsa_key(), "k1")]
        self.documents = {}
        self.fetched = []

    def document(self, path):
        if path in self.documents:
            return self.documents[path]
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.address, "jwks_uri": f"{self.address}/keys"}
        return {"keys": self.keys} if path == "/keys" else None

    def sign(self, *, key=None, kid="k1", algorithm="RS256", headers=None, leave_out=(), **claims):
        """Return a signed token; by default a valid one for an hour."""
        now = int(time.time())
        content = {"iss": self.address, "aud": AUDIENCE, "sub": "subject-1", "iat": now, "exp": now + 3600}
        content |= {"preferred_username": "anna", "roles": ["stock-managers"]} | claims
        content = {name: value for name, value in content.items() if name not in leave_out}
        named = {} if kid is None else {"kid": kid}
        return jwt.encode(content, key or rsa_key(), algorithm=algorithm, headers=named | (headers or {}))


@contextmanager
def run_issuer():
    """Run an issuer on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            issuer.fetched.append(self.path)
            document = issuer.document(self.path)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
