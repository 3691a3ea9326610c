from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select, update

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.identity_tables import ExternalIdentityRow, UserRow
from restock.errors import AuthenticationError, ConfigurationError, NotReadyError, PermissionDeniedError
from restock.operations.access import Principal, PrincipalKind, Role
from restock.operations.identity.oidc import OidcRules, OidcTokens, read_oidc_rules
from restock.operations.identity.signing_keys import SigningKeys
from restock.operations.identity.users import UserDraft, create_user, list_users
from restock.operations.identity.verifier import open_verifier
from restock.settings import Settings, read_settings
from tests.oidc_issuer import AUDIENCE, ec_key, public_jwk, rsa_key, run_issuer

ROLES = {"stock-admins": Role.ADMIN, "stock-managers": Role.MANAGER}
ANNA = Principal(name="anna", role=Role.MANAGER, kind=PrincipalKind.OIDC)


@pytest.fixture
def issuer():
    with run_issuer() as issuer:
        yield issuer


@pytest.fixture
def make_verifier(engine, issuer, clock):
    """Return a function that makes a verifier of the issuer's tokens."""

    def make(**changes):
        rules = {"issuer": issuer.address, "audience": AUDIENCE, "role_claim": "roles", "roles": ROLES} | changes
        keys = SigningKeys(rules["issuer"], clock=clock.seconds)
        return OidcTokens(engine, OidcRules(**rules), keys=keys, now=clock)

    return make


@pytest.fixture
def verifier(make_verifier):
    return make_verifier()


def test_verify_signed_token_makes_a_user_the_first_time(engine, verifier, issuer, read_audit):
    assert verifier.verify(issuer.sign()) == ANNA
    assert verifier.verify(issuer.sign()) == ANNA
    with read_transaction(engine) as connection:
        (user,) = list_users(connection)
        link = connection.execute(select(ExternalIdentityRow.__table__)).one()
    assert (user.username, user.role, user.has_password) == ("anna", Role.MANAGER, False)
    assert (link.issuer, link.subject, link.username) == (issuer.address, "subject-1", "anna")
    assert [entry[:3] for entry in read_audit()] == [
        ("oidc issuer", "create_user", "anna"),
        ("oidc issuer", "link_identity", "anna"),
    ]
    assert issuer.fetched == ["/.well-known/openid-configuration", "/keys"]


def test_verify_token_signed_on_a_curve(verifier, issuer):
    issuer.keys = [public_jwk(ec_key(), "e1")]
    assert verifier.verify(issuer.sign(key=ec_key(), kid="e1", algorithm="ES256")) == ANNA


def test_verify_never_takes_over_a_user_that_is_there(engine, verifier, issuer, clock):
    with write_transaction(engine) as connection:
        draft = UserDraft(username="anna", role=Role.ADMIN, password="correct horse battery")
        create_user(connection, draft, actor="test", now=clock.now)
    principal = verifier.verify(issuer.sign())
    assert principal.name.startswith("anna-")
    assert principal.role is Role.MANAGER


def test_verify_subjects_that_share_a_name_are_two_users(verifier, issuer):
    names = {verifier.verify(issuer.sign(sub=f"subject-{number}")).name for number in range(3)}
    assert len(names) == 3


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "Anna B\u00e4r@Shop"}, "anna-b-r@shop"),
        ({"preferred_username": "", "email": "anna@shop.example"}, "anna@shop.example"),
        ({"preferred_username": None, "sub": "auth0|66"}, "auth0-66"),
        ({"preferred_username": "\u0430\u043d\u043d\u0430"}, "user"),
        ({"preferred_username": "x" * 500}, "x" * 50),
    ],
)
def test_verify_suggested_names_become_usernames(verifier, issuer, claims, name):
    assert verifier.verify(issuer.sign(**claims)).name.lstrip("-") == name


def test_verify_long_subject_is_kept_as_its_hash(engine, verifier, issuer):
    verifier.verify(issuer.sign(sub="s" * 255))
    with read_transaction(engine) as connection:
        kept = connection.execute(select(ExternalIdentityRow.subject)).scalar_one()
    assert kept == f"sha256:{hashlib.sha256(b's' * 255).hexdigest()}"


def test_verify_disabled_user_is_refused_whatever_the_issuer_says(engine, verifier, issuer):
    verifier.verify(issuer.sign())
    with write_transaction(engine) as connection:
        connection.execute(update(UserRow).values(is_active=False))
    with pytest.raises(AuthenticationError, match="'anna' is disabled"):
        verifier.verify(issuer.sign())


def test_verify_another_role_at_the_issuer_is_the_role_here(engine, verifier, issuer):
    verifier.verify(issuer.sign())
    assert verifier.verify(issuer.sign(roles=["stock-admins"])).role is Role.ADMIN
    with read_transaction(engine) as connection:
        assert list_users(connection)[0].role is Role.ADMIN


def test_verify_first_role_of_the_rules_counts(verifier, issuer):
    assert verifier.verify(issuer.sign(roles=["x", "stock-managers", "stock-admins"])).role is Role.ADMIN


@pytest.mark.parametrize("roles", [None, [], "", ["others"], {"stock-admins": True}, 7])
def test_verify_token_without_a_known_role_is_refused(engine, verifier, issuer, roles):
    with pytest.raises(PermissionDeniedError, match="none of the roles that are known here in its claim 'roles'"):
        verifier.verify(issuer.sign(roles=roles))
    with read_transaction(engine) as connection:
        assert list_users(connection) == ()


def test_verify_role_claim_leads_into_objects(make_verifier, issuer):
    verifier = make_verifier(role_claim="realm_access.roles")
    assert verifier.verify(issuer.sign(realm_access={"roles": ["stock-managers"]})).role is Role.MANAGER
    with pytest.raises(PermissionDeniedError, match="none of the roles"):
        verifier.verify(issuer.sign(realm_access="stock-managers"))


def now(**parts):
    return int(time.time()) + sum(parts.values())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "another-api"}, "InvalidAudienceError"),
        ({"aud": ["another-api"]}, "InvalidAudienceError"),
        ({"leave_out": ("aud",)}, "MissingRequiredClaimError"),
        ({"iss": "https://evil.example"}, "InvalidIssuerError"),
        ({"leave_out": ("iss",)}, "MissingRequiredClaimError"),
        ({"exp": now(seconds=-60)}, "ExpiredSignatureError"),
        ({"leave_out": ("exp",)}, "MissingRequiredClaimError"),
        ({"exp": "soon"}, "DecodeError"),
        # Hours: it is reckoned when the tests are collected, long before it runs.
        ({"nbf": now(seconds=36_000)}, "ImmatureSignatureError"),
        ({"leave_out": ("sub",)}, "MissingRequiredClaimError"),
        ({"kid": None}, "name its key"),
        ({"kid": "x" * 201}, "name its key"),
        ({"headers": {"crit": ["x"], "x": 1}}, "InvalidTokenError"),
        ({"algorithm": "RS512"}, "must be signed with RS256 or ES256"),
        ({"algorithm": "PS256"}, "must be signed with RS256 or ES256"),
    ],
)
def test_verify_token_that_is_not_valid_is_refused(engine, verifier, issuer, claims, reason):
    with pytest.raises(AuthenticationError, match=reason):
        verifier.verify(issuer.sign(**claims))
    with read_transaction(engine) as connection:
        assert list_users(connection) == ()


def test_verify_clocks_may_differ_by_half_a_minute(verifier, issuer):
    assert verifier.verify(issuer.sign(exp=now(seconds=-20))) == ANNA


def forge(issuer, *, header, signature=b""):
    """Return a token with any header and signature."""

    def encode(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    claims = issuer.sign(roles=["stock-admins"]).split(".")[1].encode()
    body = encode(json.dumps(header).encode()) + b"." + claims
    return (body + b"." + encode(signature(body) if callable(signature) else signature)).decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS256", 7, ["RS256"]])
def test_verify_unsigned_token_is_refused(verifier, issuer, algorithm):
    with pytest.raises(AuthenticationError, match=r"must be signed|not valid"):
        verifier.verify(forge(issuer, header={"alg": algorithm, "kid": "k1"}))


def test_verify_token_signed_with_the_public_key_as_a_secret_is_refused(verifier, issuer):
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(body):
        return hmac.new(public, body, hashlib.sha256).digest()

    with pytest.raises(AuthenticationError, match="must be signed with RS256 or ES256"):
        verifier.verify(forge(issuer, header={"alg": "HS256", "kid": "k1"}, signature=sign))


def test_verify_token_signed_with_another_key_under_a_known_name_is_refused(verifier, issuer):
    with pytest.raises(AuthenticationError, match="InvalidSignatureError"):
        verifier.verify(issuer.sign(key=rsa_key(1)))


def test_verify_algorithm_of_another_kind_than_the_key_is_refused(verifier, issuer):
    with pytest.raises(AuthenticationError, match="InvalidAlgorithmError"):
        verifier.verify(issuer.sign(key=ec_key(), kid="k1", algorithm="ES256"))


NESTED = base64.urlsafe_b64encode(b"[" * 6_000).decode().rstrip("=")


@pytest.mark.parametrize(
    "token", ["..", "a.b.c", f"{NESTED}.{NESTED}.c", "\ud800.b.c", "x" * 5_000 + ".b.c", "\u00e4.b.c"]
)
def test_verify_text_that_is_no_token_is_refused(verifier, token):
    with pytest.raises(AuthenticationError, match="not valid"):
        verifier.verify(token)


def test_keys_rotate_without_a_restart(verifier, issuer, clock):
    assert verifier.verify(issuer.sign()) == ANNA
    issuer.keys = [public_jwk(rsa_key(1), "k2")]
    clock.forward(seconds=31)
    assert verifier.verify(issuer.sign(key=rsa_key(1), kid="k2")) == ANNA
    with pytest.raises(AuthenticationError, match="key that its issuer does not have"):
        verifier.verify(issuer.sign())


def test_keys_withdrawn_end_within_an_hour(verifier, issuer, clock):
    assert verifier.verify(issuer.sign()) == ANNA
    issuer.keys = [public_jwk(rsa_key(1), "k2")]
    clock.forward(hours=1)
    with pytest.raises(AuthenticationError, match="key that its issuer does not have"):
        verifier.verify(issuer.sign())


def test_keys_that_are_made_up_cost_one_fetch_in_half_a_minute(verifier, issuer, clock):
    verifier.verify(issuer.sign())
    for number in range(50):
        with pytest.raises(AuthenticationError, match="key that its issuer does not have"):
            verifier.verify(issuer.sign(kid=f"made-up-{number}"))
    assert issuer.fetched.count("/keys") == 1
    clock.forward(seconds=31)
    for number in range(50):
        with pytest.raises(AuthenticationError, match="key that its issuer does not have"):
            verifier.verify(issuer.sign(kid=f"made-up-{number}"))
    assert issuer.fetched.count("/keys") == 2


def test_keys_of_an_issuer_that_is_away_hold_for_a_day(verifier, issuer, clock):
    verifier.verify(issuer.sign())
    issuer.documents["/keys"] = b"bad gateway"
    clock.forward(hours=23)
    assert verifier.verify(issuer.sign()) == ANNA
    clock.forward(hours=2)
    with pytest.raises(NotReadyError, match="does not answer"):
        verifier.verify(issuer.sign())
    del issuer.documents["/keys"]
    clock.forward(seconds=31)
    assert verifier.verify(issuer.sign()) == ANNA


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/keys", b"{" * 10),
        ("/keys", []),
        ("/keys", {}),
        ("/keys", b" " * 1_000_001),
        ("/.well-known/openid-configuration", {"issuer": "https://another.example", "jwks_uri": "x"}),
        ("/.well-known/openid-configuration", {"jwks_uri": "x"}),
    ],
)
def test_keys_that_are_none_let_nobody_in(verifier, issuer, path, document):
    issuer.documents[path] = document
    with pytest.raises(NotReadyError, match="does not answer"):
        verifier.verify(issuer.sign())


@pytest.mark.parametrize("uri", ["http://keys.example/keys", "file:///etc/passwd", "//keys", ""])
def test_keys_elsewhere_than_behind_tls_are_not_fetched(verifier, issuer, uri):
    issuer.documents["/.well-known/openid-configuration"] = {"issuer": issuer.address, "jwks_uri": uri}
    with pytest.raises(NotReadyError, match="does not answer"):
        verifier.verify(issuer.sign())


def test_keys_of_other_kinds_are_passed_over(verifier, issuer):
    secret = {"kty": "oct", "kid": "s", "k": base64.urlsafe_b64encode(b"x" * 32).decode(), "use": "sig"}
    issuer.keys = [
        secret,
        {"kid": "broken", "kty": "RSA"},
        {"kty": "RSA"},
        "nothing",
        public_jwk(rsa_key(2, 1024), "short"),
        public_jwk(rsa_key(), "encrypts", use="enc"),
        public_jwk(rsa_key(), "other", alg="RS512"),
        public_jwk(ec_key(ec.SECP384R1), "curve"),
        *issuer.keys,
    ]
    assert verifier.verify(issuer.sign()) == ANNA
    for kid in ("s", "broken", "short", "encrypts", "other", "curve"):
        with pytest.raises(AuthenticationError, match="key that its issuer does not have"):
            verifier.verify(issuer.sign(kid=kid))


def test_verify_somebody_new_from_many_threads_makes_one_user(engine, verifier, issuer):
    tokens, outcomes = [issuer.sign() for _ in range(6)], []

    def verify(token):
        outcomes.append(verifier.verify(token))

    threads = [threading.Thread(target=verify, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [ANNA] * 6
    with read_transaction(engine) as connection:
        assert len(list_users(connection)) == 1


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"oidc_audience": None}, "needs RESTOCK_OIDC_AUDIENCE"),
        ({"oidc_roles": {}}, "needs RESTOCK_OIDC_AUDIENCE and RESTOCK_OIDC_ROLES"),
        ({"oidc_roles": {"x": "king"}}, "names the roles king; expected some of operator"),
    ],
)
def test_read_oidc_rules_that_would_let_in_others_are_refused(tmp_path, settings, complaint):
    given = {"oidc_issuer": "https://id.example", "oidc_audience": "restock", "oidc_roles": {"a": "admin"}} | settings
    with pytest.raises(ConfigurationError, match=complaint):
        read_oidc_rules(Settings(workspace=tmp_path, **given))


def test_read_oidc_rules_without_an_issuer_are_none(tmp_path):
    assert read_oidc_rules(Settings(workspace=tmp_path)) is None


def test_open_verifier_of_an_issuer_without_tls_is_refused(tmp_path):
    given = {"oidc_issuer": "http://id.example", "oidc_audience": "restock", "oidc_roles": {"a": "admin"}}
    with pytest.raises(ConfigurationError, match="must be at https"):
        open_verifier(Settings(workspace=tmp_path, **given))


def test_open_verifier_takes_both_kinds_of_token(engine, issuer, make_token, monkeypatch, tmp_path):
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("RESTOCK_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("RESTOCK_OIDC_ISSUER", issuer.address)
    monkeypatch.setenv("RESTOCK_OIDC_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("RESTOCK_OIDC_ROLES", '{"stock-managers": "manager"}')
    verifier = open_verifier(read_settings())
    assert verifier.verify(make_token("till")).name == "till"
    assert verifier.verify(issuer.sign()) == ANNA
    for wrong in ("", "x", "a.b.c"):
        with pytest.raises(AuthenticationError, match="token"):
            verifier.verify(wrong)


def test_read_settings_roles_that_are_no_json_say_so(monkeypatch):
    monkeypatch.setenv("RESTOCK_OIDC_ROLES", "admins=admin")
    with pytest.raises(ConfigurationError, match="RESTOCK_OIDC_ROLES is JSON"):
        read_settings()
