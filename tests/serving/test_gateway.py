"""The gateway in front of a small application that shows what reached it."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from restock.adapters.database.engine import open_database, write_transaction
from restock.errors import HorizonError
from restock.operations.access import Role, Scope
from restock.operations.identity.issuing import issue_token
from restock.operations.identity.tokens import revoke_named
from restock.operations.identity.verifier import open_verifier
from restock.settings import Settings
from serving.asgi import Gateway, Readiness, ServiceFrame
from serving.telemetry import Telemetry

LIMIT = 1_000


class Echo:
    """Answers with the body it received, or as its `behave` says."""

    def __init__(self):
        self.bodies = []
        self.behave = None

    async def __call__(self, scope, receive, send):
        message = await receive()
        self.bodies.append(message["body"])
        if self.behave is not None:
            await self.behave(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": message["body"]})


class Reply:
    def __init__(self, sent):
        self.status = sent[0]["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        self.body = b"".join(message["body"] for message in sent[1:])

    @property
    def problem(self):
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    where = Settings(workspace=tmp_path_factory.mktemp("workspace"))
    made = {role: issue_token(where, f"a-{role}", role=role) for role in Role}
    narrow = issue_token(where, "narrow", role=Role.SERVICE, scopes=[Scope.FORECAST])
    return made | {"settings": where, "narrow": narrow}


@pytest.fixture
def inner():
    return Echo()


@pytest.fixture
def frame(tokens):
    return ServiceFrame(
        endpoints={"/forecast": Scope.FORECAST},
        verifier=open_verifier(tokens["settings"]),
        readiness=lambda: Readiness(is_ready=True, report={"model": "model_version_1"}),
        telemetry=Telemetry("test"),
        openapi=b"{}",
        docs=b"<html>",
        max_body_bytes=LIMIT,
        max_in_flight=2,
    )


@pytest.fixture
def app(inner, frame):
    return Gateway(inner, find_frame=lambda: frame)


def call(app, method="POST", path="/forecast", *, headers=(), chunks=(b"{}",), ending="more_body"):
    """Send one request, its body in `chunks`, and return the reply (None where none was sent)."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = ending != "more_body"
    messages.append({"type": "http.disconnect"})
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }
    asyncio.run(app(scope, receive, send))
    return Reply(sent) if sent else None


def bearer(token):
    return ("Authorization", f"Bearer {token}")


def test_gateway_valid_request_reaches_the_application_whole(app, inner, tokens):
    reply = call(app, headers=[bearer(tokens[Role.ANALYST])], chunks=(b'{"a"', b": 1}"))
    assert (reply.status, reply.body) == (200, b'{"a": 1}')
    assert inner.bodies == [b'{"a": 1}']
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "Bearer rst_wrong")],
        [("Authorization", "Bearer " + "x" * 100_000)],
        [("Authorization", "Basic cmVhZGVyOnJlYWRlcg==")],
        [("Authorization", "Bearer \xff\xfe")],
        [("X-Token", "reader")],
    ],
)
def test_gateway_without_valid_token_answers_401(app, inner, headers):
    reply = call(app, headers=headers)
    assert reply.problem["status"] == reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert inner.bodies == []


def test_gateway_two_different_tokens_answers_400(app, inner, tokens):
    reply = call(app, headers=[bearer(tokens[Role.ANALYST]), bearer(tokens[Role.ADMIN])])
    assert reply.problem["status"] == 400
    assert inner.bodies == []


def test_gateway_revoked_token_answers_401_from_the_next_request_on(app, tokens):
    token = issue_token(tokens["settings"], "leaver", role=Role.OPERATOR)
    assert call(app, headers=[bearer(token)]).status == 200
    with write_transaction(open_database(tokens["settings"].ledger_url)) as connection:
        revoke_named(connection, "leaver", actor="test", now=datetime.now(UTC))
    assert call(app, headers=[bearer(token)]).status == 401


def test_gateway_no_database_denies_and_says_how_to_create_a_token(app, frame, tmp_path):
    verifier = open_verifier(Settings(workspace=tmp_path))
    empty = Gateway(app, find_frame=lambda: ServiceFrame(**(vars(frame) | {"verifier": verifier})))
    reply = call(empty, headers=[bearer("rst_any")])
    assert reply.status == 401
    assert "restock token create" in reply.problem["detail"]


def test_gateway_broken_database_denies_without_naming_it(app, frame, tmp_path):
    (tmp_path / "ledger.db").write_text("{" * 10_000)
    verifier = open_verifier(Settings(workspace=tmp_path))
    broken = Gateway(app, find_frame=lambda: ServiceFrame(**(vars(frame) | {"verifier": verifier})))
    reply = call(broken, headers=[bearer("rst_any")])
    assert reply.status == 503
    assert "ledger.db" not in reply.problem["detail"]


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 17, "9" * 40, "-1", "1e3", ""])
def test_gateway_bad_or_too_large_content_length_is_refused_unread(app, inner, tokens, length):
    reply = call(app, headers=[bearer(tokens[Role.ANALYST]), ("Content-Length", length)])
    assert reply.status in {400, 413}
    assert inner.bodies == []


@pytest.mark.parametrize("lie", [[], [("Content-Length", "2")]])
def test_gateway_chunked_body_beyond_the_limit_answers_413(app, inner, tokens, lie):
    reply = call(app, headers=[bearer(tokens[Role.ANALYST]), *lie], chunks=[b"x" * 100] * 11)
    assert reply.problem["status"] == 413
    assert reply.headers["connection"] == "close"
    assert inner.bodies == []


def test_gateway_body_of_exactly_the_limit_is_read(app, tokens):
    assert call(app, headers=[bearer(tokens[Role.ANALYST])], chunks=[b"x" * LIMIT]).status == 200


@pytest.mark.parametrize(
    "header",
    [
        ("Content-Type", "application/vnd.bentoml+pickle"),
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Type", "text/plain"),
        ("Content-Encoding", "gzip"),
    ],
)
def test_gateway_other_media_types_and_encodings_answer_415(app, inner, tokens, header):
    assert call(app, headers=[bearer(tokens[Role.ANALYST]), header]).problem["status"] == 415
    assert inner.bodies == []


def test_gateway_client_gone_within_its_body_is_not_answered(app, inner, tokens):
    assert call(app, headers=[bearer(tokens[Role.ANALYST])], ending="none") is None
    assert inner.bodies == []


@pytest.mark.parametrize(
    "path", ["/forecast/", "//forecast", "/Forecast", "/../forecast", "/forecast%00", "/static_content/x", "/x", ""]
)
def test_gateway_any_other_path_answers_404(app, inner, tokens, path):
    reply = call(app, path=path, headers=[bearer(tokens[Role.ADMIN])])
    assert reply.problem["status"] == 404
    assert inner.bodies == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/forecast", "POST"), ("POST", "/readyz", "GET, HEAD"), ("TRACE", "/", "GET, HEAD")],
)
def test_gateway_other_method_answers_405_and_names_the_right_one(app, tokens, method, path, allow):
    reply = call(app, method, path, headers=[bearer(tokens[Role.ADMIN])])
    assert reply.problem["status"] == 405
    assert reply.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/openapi.json", "/docs.json"])
def test_gateway_health_and_docs_need_no_token(app, path):
    assert call(app, "GET", path).status == 200


def test_gateway_root_leads_to_the_local_page(app):
    reply = call(app, "GET", "/")
    assert (reply.status, reply.headers["location"]) == (307, "/docs")


def test_gateway_head_sends_no_body(app):
    reply = call(app, "HEAD", "/readyz")
    assert (reply.status, reply.body) == (200, b"")


def test_gateway_not_ready_answers_503_with_the_report(app, inner, frame):
    readiness = Readiness(is_ready=False, report={"refused": {"reason": "file x was added"}})
    waiting = Gateway(inner, find_frame=lambda: ServiceFrame(**(vars(frame) | {"readiness": lambda: readiness})))
    reply = call(waiting, "GET", "/readyz")
    assert reply.status == 503
    assert json.loads(reply.body) == {"status": "not ready", "refused": {"reason": "file x was added"}}


def test_gateway_before_the_service_exists_answers_503(inner):
    assert call(Gateway(inner, find_frame=lambda: None)).problem["status"] == 503


@pytest.mark.parametrize(
    ("who", "status"), [(Role.SERVICE, 200), (Role.ADMIN, 200), (Role.MANAGER, 403), ("narrow", 403)]
)
def test_gateway_metrics_need_a_token_that_may_see_them(app, tokens, who, status):
    assert call(app, "GET", "/metrics", headers=[bearer(tokens[who])]).status == status
    assert call(app, "GET", "/metrics").status == 401


def test_gateway_made_up_paths_share_one_metric_label(app, tokens):
    for path in ("/a", "/b", "/c"):
        call(app, path=path)
    metrics = call(app, "GET", "/metrics", headers=[bearer(tokens[Role.SERVICE])]).body.decode()
    assert 'restock_requests_total{endpoint="other",model_version="none",service="test",status="404"} 3.0' in metrics
    assert "/a" not in metrics


@pytest.mark.parametrize(
    ("given_id", "is_kept"), [("order-66.a_B", True), ("a b", False), ("x" * 65, False), ("\xff", False)]
)
def test_gateway_request_id_is_kept_where_it_is_one(app, given_id, is_kept):
    reply = call(app, headers=[("X-Request-ID", given_id)])
    assert (reply.headers["x-request-id"] == given_id) is is_kept
    assert reply.problem["instance"] == f"urn:restock:request:{reply.headers['x-request-id']}"


def test_gateway_application_error_is_told_without_its_words(app, inner, tokens):
    async def fail(scope, receive, send):
        raise RuntimeError("/home/secret")

    inner.behave = fail
    reply = call(app, headers=[bearer(tokens[Role.ANALYST])])
    assert reply.problem["status"] == 500
    assert b"secret" not in reply.body


def test_gateway_restock_error_becomes_its_problem(app, inner, tokens):
    async def fail(scope, receive, send):
        raise HorizonError("horizon must be 1 to 7, got 8.")

    inner.behave = fail
    problem = call(app, headers=[bearer(tokens[Role.ANALYST])]).problem
    assert (problem["type"], problem["status"]) == ("urn:restock:problem:horizon", 422)
    assert problem["detail"] == "horizon must be 1 to 7, got 8."


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ([{"type": "missing", "loc": ["sku"], "msg": "Field required"}], (422, "sku: Field required")),
        ([{"type": "json_invalid", "loc": [], "msg": "Invalid JSON"}], (400, "not valid JSON")),
        ("odd", (400, "could not be done")),
        (None, (400, "could not be done")),
    ],
)
def test_gateway_bento_errors_become_problems(app, inner, tokens, detail, expected):
    body = json.dumps({"error": "1", "detail": detail}).encode()

    async def refuse(scope, receive, send):
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": body[:3], "more_body": True})
        await send({"type": "http.response.body", "body": body[3:]})

    inner.behave = refuse
    problem = call(app, headers=[bearer(tokens[Role.ANALYST])]).problem
    status, words = expected
    assert problem["status"] == status
    assert words in problem["detail"]


def test_gateway_more_requests_than_allowed_at_once_answers_503(app, inner, tokens):
    async def overload():
        gate, statuses = asyncio.Event(), []

        async def wait(scope, receive, send):
            await gate.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        inner.behave = wait
        headers = [(b"authorization", f"Bearer {tokens[Role.ANALYST]}".encode())]

        async def one():
            async def receive():
                return {"type": "http.request", "body": b"{}", "more_body": False}

            async def send(message):
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])
                    gate.set()

            await app({"type": "http", "method": "POST", "path": "/forecast", "headers": headers}, receive, send)

        await asyncio.gather(*(one() for _ in range(3)))
        return statuses

    assert sorted(asyncio.run(overload())) == [200, 200, 503]


def test_gateway_websocket_is_closed(app):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "websocket", "path": "/forecast", "headers": []}, None, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.tuples(
        st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "X" * 50]),
        st.one_of(st.sampled_from(["/", "/forecast", "/metrics", "/schema.json"]), st.text(max_size=60)),
    ),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["Authorization", "Content-Length", "Content-Type", "X-Request-ID", "Host"]),
            st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
        ),
        max_size=4,
    ),
    chunks=st.lists(st.binary(max_size=400), min_size=1, max_size=5),
)
def test_gateway_request_without_a_token_is_answered_and_gets_no_further(request, target, headers, chunks):
    app, inner = request.getfixturevalue("app"), request.getfixturevalue("inner")
    reply = call(app, *target, headers=headers, chunks=chunks)
    assert reply.status < 500
    assert inner.bodies == []
