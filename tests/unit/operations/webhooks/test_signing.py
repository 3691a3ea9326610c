"""The installation's key and the secrets and signatures that come from it."""

from __future__ import annotations

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from restock.errors import ConfigurationError
from restock.operations.webhooks.signing import SigningKey, read_signing_key, sign, signing_key_file


def test_read_signing_key_makes_it_once_for_its_owner_only(tmp_path):
    path = signing_key_file(tmp_path)
    key = read_signing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_signing_key(path) == key
    assert len(key.content) == 32
    assert key.content.hex() not in repr(key)


def test_read_signing_key_by_many_at_once_is_one(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = {
            job.result().content for job in [pool.submit(read_signing_key, tmp_path / "s" / "k") for _ in range(16)]
        }
    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["k"]


def test_read_signing_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "k"
    read_signing_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="mode 644, expected 600"):
        read_signing_key(path)


@pytest.mark.parametrize("content", ["zz", "00ff", ""])
def test_read_signing_key_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "k"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is not a signing key of 32 bytes"):
        read_signing_key(path)


def test_secret_of_differs_by_webhook_and_version():
    key = SigningKey(content=b"k" * 32)
    secrets = {key.secret_of(name, version=version) for name in "ab" for version in (1, 2)}
    assert len(secrets) == 4


def test_sign_is_hmac_of_instant_and_body_for_each_secret():
    at = datetime(2024, 5, 1, tzinfo=UTC)
    expected = hmac.new(b"new", b"1714521600.{}", hashlib.sha256).hexdigest()
    header = sign(b"{}", secrets_in_force=["new", "old"], at=at)
    assert header.startswith(f"t=1714521600,v1={expected},v1=")
