"""Signing in, sessions, users and tokens over HTTP, with the real verifier and a real issuer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_tables import AuditRow, IdempotencyRow
from restock.operations.access import ROLE_SCOPES, Role, Scope
from restock.operations.identity.database_tokens import DatabaseTokens
from restock.operations.identity.oidc import OidcTokens, read_oidc_rules
from restock.operations.identity.signing_keys import SigningKeys
from restock.operations.identity.tokens import TokenDraft, create_token
from restock.operations.identity.users import UserDraft, create_user
from restock.operations.identity.verifier import AnyTokens
from restock.settings import Settings
from serving.asgi import Gateway
from serving.planning.frame import build_frame
from tests.oidc_issuer import AUDIENCE, run_issuer

PASSWORD = "correct horse battery"
API = "/api/v1"


@pytest.fixture(scope="module")
def issuer():
    with run_issuer() as issuer:
        yield issuer


@pytest.fixture
def open_client(engine, clock, tmp_path, issuer):
    """Return a function that makes a client with cookies of its own."""
    settings = Settings(
        workspace=tmp_path,
        requests_per_second=10_000,
        oidc_issuer=issuer.address,
        oidc_audience=AUDIENCE,
        oidc_roles={"stock-managers": "manager", "stock-admins": "admin"},
    )
    signed = OidcTokens(engine, read_oidc_rules(settings), keys=SigningKeys(issuer.address), now=clock)
    # PostgreSQL is asked once a second: no test waits for that.
    own = DatabaseTokens(engine, now=clock, clock=lambda: clock.forward(seconds=2) or clock.now.timestamp())
    frame = build_frame(engine, settings, now=clock, verifier=AnyTokens(own, signed))
    yield lambda base_url="http://127.0.0.1:3002": TestClient(
        Gateway(None, find_frame=lambda: frame), base_url=base_url, raise_server_exceptions=False
    )
    own.close()


@pytest.fixture
def browser(open_client):
    return open_client()


@pytest.fixture
def add_user(engine, clock):
    def add(username, role=Role.OPERATOR, **draft):
        draft = UserDraft(username=username, role=role, **({"password": PASSWORD} | draft))
        with write_transaction(engine) as connection:
            return create_user(connection, draft, actor="test", now=clock.now)

    return add


@pytest.fixture
def make_token(engine, clock):
    def make(name="program", role=Role.SERVICE, **draft):
        with write_transaction(engine) as connection:
            draft = TokenDraft(name=name, role=role, **draft)
            return bearer(create_token(connection, draft, actor="test", now=clock.now).secret)

    return make


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def sign_in(browser, username="anna", password=PASSWORD):
    """Sign in and return the header that writes need."""
    reply = browser.post(f"{API}/auth/login", json={"username": username, "password": password})
    assert reply.status_code == 200, reply.text
    return {"x-csrf-token": reply.json()["csrf_token"]}


def read_actions(engine):
    with read_transaction(engine) as connection:
        rows = connection.execute(select(AuditRow.actor, AuditRow.action, AuditRow.subject, AuditRow.details))
        return [tuple(row) for row in rows]


def test_login_opens_a_session_whose_cookie_scripts_and_other_sites_do_not_get(browser, add_user):
    add_user("anna", Role.MANAGER)
    reply = browser.post(f"{API}/auth/login", json={"username": "Anna", "password": PASSWORD})
    assert reply.json()["user"]["username"] == "anna"
    assert PASSWORD not in reply.text
    cookie = reply.headers["set-cookie"].lower()
    assert cookie.startswith("restock_session=")
    assert {"httponly", "samesite=strict", "path=/", "max-age=604800"} <= {part.strip() for part in cookie.split(";")}
    me = browser.get(f"{API}/auth/me").json()
    assert (me["name"], me["kind"], me["role"]) == ("anna", "user", "manager")
    assert set(me["scopes"]) == set(ROLE_SCOPES[Role.MANAGER])
    # A page that is loaded anew gets it again.
    assert me["csrf_token"] == reply.json()["csrf_token"]


@pytest.mark.parametrize(
    ("base_url", "is_secure"),
    [
        ("http://127.0.0.1:3002", False),
        ("http://localhost:3002", False),
        ("http://[::1]:3002", False),
        ("https://127.0.0.1:3002", True),
        ("https://stock.example", True),
        ("http://stock.example", True),
    ],
)
def test_login_cookie_travels_encrypted_but_on_this_machine(open_client, add_user, base_url, is_secure):
    add_user("anna")
    reply = open_client(base_url).post(f"{API}/auth/login", json={"username": "anna", "password": PASSWORD})
    assert ("secure" in reply.headers["set-cookie"].lower().split("; ")) is is_secure


@pytest.mark.parametrize("username", ["anna", "nobody", "\u0000", "x" * 200])
def test_login_wrong_says_the_same_whoever_it_was(browser, add_user, username):
    add_user("anna")
    reply = browser.post(f"{API}/auth/login", json={"username": username, "password": "wrong"})
    assert reply.status_code == 401
    assert reply.json()["detail"] == "the username or the password is wrong, or the user is disabled."
    assert "set-cookie" not in reply.headers


def test_login_brute_force_is_slowed_down_and_says_for_how_long(browser, add_user, clock, engine):
    add_user("anna")
    for _ in range(5):
        assert browser.post(f"{API}/auth/login", json={"username": "anna", "password": "x"}).status_code == 401
    reply = browser.post(f"{API}/auth/login", json={"username": "anna", "password": PASSWORD})
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
    clock.forward(seconds=1)
    sign_in(browser)
    assert [action for _, action, *_ in read_actions(engine)].count("fail_to_sign_in") == 5


@pytest.mark.parametrize("headers", [{}, {"x-csrf-token": ""}, {"x-csrf-token": "0" * 64}, {"x-csrf-token": "\u00e9"}])
def test_session_writes_without_its_second_secret_are_refused(browser, add_user, headers):
    add_user("boss", Role.ADMIN)
    good = sign_in(browser, "boss")
    body = {"username": "new", "role": "operator"}
    headers = {name: value.encode("latin-1") for name, value in headers.items()}
    reply = browser.post(f"{API}/users", json=body, headers=headers)
    assert reply.status_code == 403
    assert "X-CSRF-Token" in reply.json()["detail"]
    for method, path in (("PATCH", "/users/boss"), ("DELETE", "/tokens/x"), ("POST", "/auth/logout")):
        assert browser.request(method, f"{API}{path}", headers=headers).status_code == 403
    assert browser.get(f"{API}/users").status_code == 200
    assert browser.post(f"{API}/users", json=body, headers=good).status_code == 201


def test_session_second_secret_of_another_session_is_refused(open_client, add_user):
    add_user("boss", Role.ADMIN)
    mine, other = open_client(), open_client()
    sign_in(mine, "boss")
    stolen = sign_in(other, "boss")
    assert mine.post(f"{API}/users", json={"username": "new", "role": "operator"}, headers=stolen).status_code == 403


def test_session_is_over_after_half_a_day_and_goes_on_with_use(browser, add_user, clock):
    add_user("anna")
    sign_in(browser)
    for _ in range(3):
        clock.forward(hours=11)
        assert browser.get(f"{API}/auth/me").status_code == 200
    clock.forward(hours=13)
    reply = browser.get(f"{API}/auth/me")
    assert (reply.status_code, reply.json()["detail"]) == (401, "the session is unknown or over. Sign in again.")


def test_logout_ends_the_session_and_takes_the_cookie(browser, add_user):
    add_user("anna")
    csrf = sign_in(browser)
    cookie = browser.cookies["restock_session"]
    reply = browser.post(f"{API}/auth/logout", headers=csrf)
    assert reply.status_code == 204
    assert "max-age=0" in reply.headers["set-cookie"].lower()
    assert browser.get(f"{API}/auth/me", headers={"cookie": f"restock_session={cookie}"}).status_code == 401


def test_a_token_comes_before_a_cookie_even_a_wrong_one(browser, add_user, make_token):
    add_user("anna")
    sign_in(browser)
    token = make_token("till")
    assert browser.get(f"{API}/auth/me", headers=token).json()["name"] == "till"
    assert browser.get(f"{API}/auth/me", headers=bearer("rst_wrong")).status_code == 401
    assert browser.get(f"{API}/auth/me", headers={"authorization": "Basic x"}).status_code == 401


def test_two_sessions_at_once_are_none(browser, add_user):
    add_user("anna")
    sign_in(browser)
    cookie = browser.cookies.pop("restock_session")
    for header in (f"restock_session={cookie}; restock_session=other", "restock_session="):
        assert browser.get(f"{API}/auth/me", headers={"cookie": header}).status_code == 401
    header = f"a=b; restock_session={cookie}; c"
    assert browser.get(f"{API}/auth/me", headers={"cookie": header}).status_code == 200


def test_who_must_change_the_password_can_do_nothing_else(browser, add_user):
    add_user("boss", Role.ADMIN, must_change_password=True)
    csrf = sign_in(browser, "boss")
    assert browser.get(f"{API}/auth/me").json()["must_change_password"]
    assert browser.get(f"{API}/users").status_code == 403
    assert browser.get(f"{API}/stock").status_code == 403
    assert browser.post(f"{API}/tokens", json={"name": "mine"}, headers=csrf).status_code == 403
    body = {"old_password": PASSWORD, "new_password": "another horse battery"}
    assert browser.post(f"{API}/auth/password", json=body, headers=csrf).status_code == 204
    assert browser.get(f"{API}/users").status_code == 200


def test_password_change_ends_the_other_sessions(open_client, add_user):
    add_user("anna")
    here, there = open_client(), open_client()
    csrf = sign_in(here)
    sign_in(there)
    body = {"old_password": PASSWORD, "new_password": "another horse battery"}
    assert here.post(f"{API}/auth/password", json=body | {"old_password": "x"}, headers=csrf).status_code == 401
    assert here.post(f"{API}/auth/password", json=body, headers=csrf).status_code == 204
    assert here.get(f"{API}/auth/me").status_code == 200
    assert there.get(f"{API}/auth/me").status_code == 401


def test_password_and_logout_need_a_session(browser, make_token):
    token = make_token(role=Role.ADMIN)
    body = {"old_password": PASSWORD, "new_password": "another horse battery"}
    for path, content in (("/auth/password", body), ("/auth/logout", None)):
        reply = browser.post(f"{API}{path}", json=content, headers=token)
        assert (reply.status_code, "POST /auth/login" in reply.json()["detail"]) == (409, True)


def test_users_are_added_changed_and_disabled(open_client, add_user):
    add_user("boss", Role.ADMIN)
    boss, anna = open_client(), open_client()
    csrf = sign_in(boss, "boss")
    body = {"username": "Anna", "role": "manager", "display_name": "Anna B.", "password": PASSWORD}
    made = boss.post(f"{API}/users", json=body, headers=csrf)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert made.json()["must_change_password"]
    assert boss.post(f"{API}/users", json=body, headers=csrf).status_code == 409
    sign_in(anna)
    reply = boss.patch(f"{API}/users/anna", json={"role": "analyst"}, headers=csrf | {"if-match": '"1"'})
    assert (reply.json()["role"], reply.headers["etag"]) == ("analyst", '"2"')
    assert boss.patch(f"{API}/users/anna", json={}, headers=csrf | {"if-match": '"1"'}).status_code == 412
    # Another role, another session.
    assert anna.get(f"{API}/auth/me").status_code == 401
    assert not boss.patch(f"{API}/users/anna", json={"is_active": False}, headers=csrf).json()["is_active"]
    assert anna.post(f"{API}/auth/login", json={"username": "anna", "password": PASSWORD}).status_code == 401
    assert [user["username"] for user in boss.get(f"{API}/users").json()["items"]] == ["anna", "boss"]
    assert boss.get(f"{API}/users/ANNA").json()["username"] == "anna"
    assert boss.get(f"{API}/users/nobody").status_code == 404
    page = boss.get(f"{API}/users", params={"limit": 1}).json()
    following = boss.get(f"{API}/users", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [user["username"] for user in following["items"]] == ["boss"]


def test_users_the_last_admin_stays(browser, add_user):
    add_user("boss", Role.ADMIN)
    csrf = sign_in(browser, "boss")
    for body in ({"is_active": False}, {"role": "operator"}):
        assert browser.patch(f"{API}/users/boss", json=body, headers=csrf).status_code == 409


def test_users_given_password_has_to_be_changed(open_client, add_user):
    add_user("boss", Role.ADMIN)
    add_user("anna")
    boss, anna = open_client(), open_client()
    csrf = sign_in(boss, "boss")
    body = {"password": "another horse battery"}
    assert boss.post(f"{API}/users/anna/password", json=body, headers=csrf).status_code == 204
    sign_in(anna, "anna", "another horse battery")
    assert anna.get(f"{API}/auth/me").json()["must_change_password"]
    assert boss.post(f"{API}/users/nobody/password", json=body, headers=csrf).status_code == 404
    assert boss.post(f"{API}/users/anna/password", json={"password": "anna" * 3}, headers=csrf).status_code == 422


def test_tokens_of_ones_own_are_narrowed_listed_and_revoked(browser, open_client, add_user, clock):
    add_user("anna", Role.MANAGER)
    csrf = sign_in(browser)
    expires_at = (clock.now + timedelta(days=30)).isoformat()
    body = {"name": "scanner-7", "scopes": ["stock:read"], "expires_at": expires_at}
    made = browser.post(f"{API}/tokens", json=body, headers=csrf)
    assert made.status_code == 201, made.text
    assert (made.json()["username"], made.json()["role"], made.json()["scopes"]) == ("anna", "manager", ["stock:read"])
    program, token = open_client(), bearer(made.json()["secret"])
    assert program.get(f"{API}/auth/me", headers=token).json()["name"] == "anna"
    assert program.get(f"{API}/stock", headers=token).status_code == 200
    assert program.get(f"{API}/plans", headers=token).status_code == 403
    # A token makes and ends no tokens.
    assert program.post(f"{API}/tokens", json={"name": "more"}, headers=token).status_code == 403
    assert program.delete(f"{API}/tokens/{made.json()['token']}", headers=token).status_code == 404
    listed = browser.get(f"{API}/tokens").json()["items"]
    assert [one["name"] for one in listed] == ["scanner-7"]
    assert made.json()["secret"] not in str(listed)
    assert browser.delete(f"{API}/tokens/{made.json()['token']}", headers=csrf).status_code == 204
    assert program.get(f"{API}/stock", headers=token).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"role": "admin"},
        {"role": "operator"},
        {"username": "boss"},
        {"scopes": ["counts:approve"]},
        {"scopes": ["identity:write"]},
    ],
)
def test_tokens_beyond_oneself_are_refused(browser, add_user, body):
    add_user("anna", Role.SUPPLY_CHAIN)
    add_user("boss", Role.ADMIN)
    csrf = sign_in(browser)
    assert browser.post(f"{API}/tokens", json={"name": "more"} | body, headers=csrf).status_code == 403


def test_tokens_of_everybody_are_an_admins_business(browser, open_client, add_user, make_token, engine):
    add_user("boss", Role.ADMIN)
    add_user("anna")
    make_token("phone", Role.OPERATOR, username="anna")
    csrf = sign_in(browser, "boss")
    made = browser.post(f"{API}/tokens", json={"name": "erp", "role": "service"}, headers=csrf).json()
    assert made["username"] is None
    assert {one["name"] for one in browser.get(f"{API}/tokens").json()["items"]} == {"erp", "phone"}
    (phone,) = browser.get(f"{API}/tokens", params={"username": "anna"}).json()["items"]
    anna = open_client()
    own = sign_in(anna)
    assert [one["name"] for one in anna.get(f"{API}/tokens", params={"username": "boss"}).json()["items"]] == ["phone"]
    assert anna.delete(f"{API}/tokens/{made['token']}", headers=own).status_code == 404
    assert browser.delete(f"{API}/tokens/{phone['token']}", headers=csrf).status_code == 204
    # No secret is left anywhere but with its owner.
    with read_transaction(engine) as connection:
        assert connection.execute(select(IdempotencyRow.key)).all() == []
    assert made["secret"] not in str(read_actions(engine))


def test_tokens_a_narrowed_admin_gives_no_more_than_it_has(browser, make_token):
    narrow = make_token("robot", Role.ADMIN, scopes=[Scope.IDENTITY_WRITE, Scope.STOCK_READ])
    body = {"name": "reader", "role": "service", "scopes": ["stock:read"]}
    assert browser.post(f"{API}/tokens", json=body, headers=narrow).status_code == 201
    reply = browser.post(f"{API}/tokens", json={"name": "all", "role": "admin"}, headers=narrow)
    assert reply.status_code == 403
    assert "can't give it to a token" in reply.json()["detail"]


def test_people_of_an_issuer_come_in_by_its_signed_token(browser, issuer, engine):
    me = browser.get(f"{API}/auth/me", headers=bearer(issuer.sign())).json()
    assert (me["name"], me["kind"], me["role"], me["csrf_token"]) == ("anna", "oidc", "manager", None)
    reply = browser.post(f"{API}/tokens", json={"name": "mine"}, headers=bearer(issuer.sign()))
    assert reply.status_code == 403
    assert browser.get(f"{API}/users", headers=bearer(issuer.sign())).status_code == 403
    as_admin = bearer(issuer.sign(sub="root", preferred_username="root", roles=["stock-admins"]))
    assert {user["username"] for user in browser.get(f"{API}/users", headers=as_admin).json()["items"]} == {
        "anna",
        "root",
    }
    assert ("oidc issuer", "link_identity", "anna") in [entry[:3] for entry in read_actions(engine)]


@pytest.mark.parametrize("claims", [{"aud": "other"}, {"exp": 1_000_000}, {"algorithm": "RS512"}, {"kid": "k9"}])
def test_signed_tokens_that_are_not_for_us_are_refused(browser, issuer, claims):
    reply = browser.get(f"{API}/auth/me", headers=bearer(issuer.sign(**claims)))
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")


def test_signed_token_without_a_role_is_known_and_may_nothing(browser, issuer):
    assert browser.get(f"{API}/auth/me", headers=bearer(issuer.sign(roles=[]))).status_code == 403
