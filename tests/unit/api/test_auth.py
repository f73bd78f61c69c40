"""Logging in: once per process and key, before expiry, never in a loop, and without leaving a secret anywhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.api import tokens
from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.sdk_hmac import authorization
from airflow_cbr.exceptions import (
    CbrApiError,
    CbrAuthenticationError,
    CbrConfigurationError,
    CbrConnectionError,
    CbrNotFoundError,
    CbrOutcomeUnknownError,
    CbrProtocolError,
    CbrTransportError,
)
from tests.unit.api.service import (
    BACKUP,
    DESTINATION,
    PROJECT,
    RECORD,
    RESET,
    VAULT,
    Reply,
    Request,
    Service,
    error,
    replication,
    reply,
    token_answer,
)

if TYPE_CHECKING:
    from airflow_cbr.api.client import CbrClient
    from tests.unit.api.conftest import MakeClient

USER = PasswordCredentials("backup-bot", "the-password", "acme")
SHOWN = reply({"backup": {"id": BACKUP}})
EXPIRED = error("APIG.0307", "The token must be updated.", 401)


def copy_vault(client: CbrClient) -> object:
    return client.replicate_checkpoint(vault_id=VAULT, **DESTINATION)


def show(client: CbrClient) -> object:
    return client.show_backup(BACKUP)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return this machine's monotonic clock as the cache of tokens sees it; set ``now`` to let time pass."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(tokens, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: AkSkCredentials("", "s"), "access key"),
        (lambda: AkSkCredentials("a", ""), "secret key"),
        (lambda: AkSkCredentials("a", "s", ""), "security_token"),
        (lambda: AkSkCredentials("a\n", "hunter2"), "access key"),
        (lambda: AkSkCredentials("a", "hunter2 "), "secret key"),
        (lambda: AkSkCredentials("a", "s", "hunter2\r\nX: 1"), "security_token"),
        (lambda: PasswordCredentials("", "p", "d"), "user name"),
        (lambda: PasswordCredentials("u", "", "d"), "password"),
        (lambda: PasswordCredentials("u", "hunter2", ""), "domain_name"),
    ],
)
def test_incomplete_credentials_are_refused_by_name_and_not_shown(make: Callable[[], object], field: str) -> None:
    with pytest.raises(CbrConfigurationError, match=field) as caught:
        make()
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_part_of_the_representation() -> None:
    shown = repr([AkSkCredentials("AK", "hunter2", "hunter3"), PasswordCredentials("u", "hunter4", "d")])
    assert "AK" in shown
    assert "hunter" not in shown


def test_credentials_of_another_kind_are_refused(make_client: MakeClient) -> None:
    with pytest.raises(CbrConfigurationError, match=r"dict"):
        make_client({"login": "x"})


# --- AK/SK ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security_token", [None, "temporary"])
def test_requests_are_signed_as_they_are_sent(service: Service, make_client: MakeClient, security_token: str | None) -> None:
    service.answers(replication(RECORD))
    copy_vault(make_client(AkSkCredentials("ACCESSKEY", "the-secret-key", security_token)))
    request = service.requests[0]
    names = ["content-type", "host", "x-project-id", "x-sdk-date", *(["x-security-token"] if security_token else [])]
    headers = {name: str(request.headers[name]) for name in sorted(names)}
    assert request.headers["Authorization"] == authorization(
        "ACCESSKEY", "the-secret-key", method="POST", url=service.url + request.target, headers=headers, body=request.body
    )
    assert f"SignedHeaders={';'.join(sorted(names))}," in request.headers["Authorization"]
    assert request.headers["X-Project-Id"] == PROJECT
    assert request.headers["X-Security-Token"] == security_token
    assert "X-Auth-Token" not in request.headers


@pytest.mark.parametrize(
    "refusal", [EXPIRED, error("APIG.0301", "bad signature", 401), reply({}, 401), error("BackupService.9998", status=500)]
)
@pytest.mark.parametrize("call", [show, copy_vault])
def test_a_refused_key_is_never_tried_again(
    service: Service, make_client: MakeClient, pauses: list[float], refusal: Reply, call: Callable[[CbrClient], object]
) -> None:
    service.answers(refusal)
    with pytest.raises(CbrAuthenticationError, match=r"locked for 5 minutes|Check login"):
        call(make_client())
    assert len(service.requests) == 1
    assert pauses == []


def projects(*ids: str, name: str = "cn-north-4") -> Reply:
    return reply({"projects": [{"id": project_id, "name": name} for project_id in ids]})


def test_the_project_is_looked_up_by_the_regions_name_once_per_process(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(projects(PROJECT))
    service.answers(SHOWN)
    for _ in range(2):
        client = make_client(project_id=None)
        client.show_backup(BACKUP)
        client.show_backup(BACKUP)
        assert client.project_id == PROJECT
    assert [request.target for request in service.iam_requests] == ["/v3/projects?name=cn-north-4"]
    look_up = service.iam_requests[0]
    assert "Signature=" in look_up.headers["Authorization"]
    assert "X-Project-Id" not in look_up.headers
    assert service.cbr_requests[0].path == f"/v3/{PROJECT}/backups/{BACKUP}"


def test_looked_up_projects_are_kept_apart_by_region_and_key(service: Service, make_client: MakeClient) -> None:
    ids = [character * 32 for character in "abcd"]
    service.iam_answers(*(lambda asked, one=one: projects(one, name=dict(asked.query)["name"]) for one in ids))
    found = [
        make_client(project_id=None).project_id,
        make_client(project_id=None, region="cn-east-3").project_id,
        make_client(AkSkCredentials("OTHER", "the-secret-key"), project_id=None).project_id,
        make_client(AkSkCredentials("ACCESSKEY", "another-secret"), project_id=None).project_id,
        make_client(project_id=None).project_id,
    ]
    assert found == [*ids, ids[0]]


@pytest.mark.parametrize(("ids", "count"), [((), 0), (("a" * 32, "b" * 32), 2)])
def test_no_project_or_several_is_a_matter_of_configuration(
    service: Service, make_client: MakeClient, ids: tuple[str, ...], count: int
) -> None:
    service.iam_answers(projects(*ids))
    with pytest.raises(
        CbrConfigurationError, match=rf"lists {f'{count} projects' if count else 'no project'} named 'cn-north-4'.*Set project_id"
    ):
        _ = make_client(project_id=None).project_id


def listed(*rows: tuple[str, str | None]) -> Reply:
    return reply({"projects": [{"id": project_id, "name": name} for project_id, name in rows]})


@pytest.mark.parametrize("order", [1, -1])
def test_a_project_is_taken_by_its_exact_name_alone(service: Service, make_client: MakeClient, order: int) -> None:
    rows = [("b" * 32, "cn-north-4_team"), (PROJECT, "cn-north-4"), ("c" * 32, "MOS"), ("d" * 32, "CN-NORTH-4"), ("e" * 32, None)]
    service.iam_answers(listed(*rows[::order]))
    assert make_client(project_id=None).project_id == PROJECT


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("b" * 32, "cn-north-4_team")], r"only a sub-project: cn-north-4_team \(b+\)\. .*Set project_id .* to the id"),
        ([("c" * 32, "MOS")], r"no project named 'cn-north-4' .*MOS .*Set project_id"),
        ([("b" * 32, "cn-north-4\n")], r"no project named 'cn-north-4'"),
    ],
)
def test_a_project_of_another_name_is_not_taken(service: Service, make_client: MakeClient, rows: list[tuple[str, str]], said: str) -> None:
    service.iam_answers(listed(*rows))
    with pytest.raises(CbrConfigurationError, match=said):
        copy_vault(make_client(project_id=None))
    assert service.cbr_requests == []


def test_a_project_without_an_id_is_not_taken(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(listed(("../../x", "cn-north-4")))
    with pytest.raises(CbrProtocolError, match=r"id of project 'cn-north-4' is not valid"):
        copy_vault(make_client(project_id=None, retry_budget=0))


def test_a_user_who_sees_sub_projects_only_is_told_to_name_one(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(reply({"error": {"code": 404, "title": "Not Found", "message": "Could not find project: eu-de."}}, 404))
    with pytest.raises(CbrNotFoundError, match=r"Could not find project: eu-de\..*Set project_id"):
        copy_vault(make_client(USER, project_id=None, region="eu-de"))


def test_a_look_up_that_fails_means_that_nothing_was_sent(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(RESET)
    with pytest.raises(CbrConnectionError) as caught:
        copy_vault(make_client(project_id=None))
    assert not caught.value.sent
    assert service.cbr_requests == []


# --- password ---------------------------------------------------------------------------------------------------------


def test_the_token_is_asked_for_by_project_id(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1"))
    service.answers(SHOWN)
    make_client(USER).show_backup(BACKUP)
    login, request = service.requests
    assert login.target == "/v3/auth/tokens?nocatalog=true"
    assert login.json == {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": "backup-bot", "password": "the-password", "domain": {"name": "acme"}}},
            },
            "scope": {"project": {"id": PROJECT}},
        }
    }
    assert "Authorization" not in login.headers
    assert request.headers["X-Auth-Token"] == "token-1"
    assert "Authorization" not in request.headers


def test_without_a_project_id_the_token_is_asked_for_by_region_and_domain_and_names_the_project(
    service: Service, make_client: MakeClient
) -> None:
    service.iam_answers(token_answer("token-1", project_id="c" * 32))
    service.answers(SHOWN)
    client = make_client(USER, project_id=None)
    client.show_backup(BACKUP)
    assert client.project_id == "c" * 32
    assert len(service.iam_requests) == 1
    assert service.iam_requests[0].json["auth"]["scope"] == {"project": {"name": "cn-north-4", "domain": {"name": "acme"}}}
    assert service.cbr_requests[0].path == f"/v3/{'c' * 32}/backups/{BACKUP}"


def test_a_token_without_a_project_is_a_matter_of_configuration(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1", project_id=None))
    with pytest.raises(CbrConfigurationError, match=r"Set project_id"):
        show(make_client(USER, project_id=None))


def test_clients_of_one_process_share_a_token(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1"))
    service.answers(SHOWN)
    for _ in range(3):
        show(make_client(USER))
    assert len(service.iam_requests) == 1


@pytest.mark.parametrize(
    ("credentials", "options"),
    [
        (PasswordCredentials("backup-bot", "another-password", "acme"), {}),
        (PasswordCredentials("someone", "the-password", "acme"), {}),
        (PasswordCredentials("backup-bot", "the-password", "other"), {}),
        (USER, {"region": "cn-east-3"}),
        (USER, {"project_id": "d" * 32}),
        (USER, {"project_id": None}),
        (USER, {"verify": False}),
    ],
)
def test_whatever_a_token_depends_on_keeps_tokens_apart(
    service: Service, make_client: MakeClient, credentials: PasswordCredentials, options: dict[str, Any]
) -> None:
    service.iam_answers(token_answer("token-1"), token_answer("token-2"))
    service.answers(SHOWN)
    show(make_client(USER))
    show(make_client(credentials, **options))
    assert [request.headers["X-Auth-Token"] for request in service.cbr_requests] == ["token-1", "token-2"]


def test_neither_the_cache_nor_its_keys_hold_the_password(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1"))
    service.answers(SHOWN)
    show(make_client(USER))
    assert len(tokens._TOKENS._values) == 1
    assert "the-password" not in repr(tokens._TOKENS._values)
    assert "token-1" not in repr(tokens._TOKENS._values)


@pytest.mark.parametrize(
    ("lifetime", "good_until"),
    [(86400, 86400 - 600), (6000, 6000 - 600), (3600, 3600 - 360), (10, 9)],
)
def test_a_token_is_renewed_before_it_expires_whatever_the_local_date(
    service: Service, make_client: MakeClient, clock: SimpleNamespace, lifetime: int, good_until: int
) -> None:
    service.iam_answers(token_answer("token-1", lifetime=lifetime), token_answer("token-2", lifetime=lifetime))
    service.answers(SHOWN)
    client = make_client(USER)
    show(client)
    clock.now += good_until - 0.01
    show(client)
    assert len(service.iam_requests) == 1
    clock.now += 0.02
    show(client)
    show(make_client(USER))
    assert len(service.iam_requests) == 2
    assert [request.headers["X-Auth-Token"] for request in service.cbr_requests] == ["token-1", "token-1", "token-2", "token-2"]


@pytest.mark.parametrize(
    "token",
    [{}, {"expires_at": "soon", "issued_at": None}, {"issued_at": "2026-01-02T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z"}],
)
def test_a_token_of_unknown_lifetime_is_used_until_it_is_refused(
    service: Service, make_client: MakeClient, clock: SimpleNamespace, token: dict[str, object]
) -> None:
    service.iam_answers(reply({"token": token}, 201, X_Subject_Token="token-1"), token_answer("token-2"))
    service.answers(SHOWN, SHOWN, EXPIRED, SHOWN)
    client = make_client(USER)
    for _ in range(3):
        show(client)
        clock.now += 1_000_000
    assert [request.headers["X-Auth-Token"] for request in service.cbr_requests] == ["token-1", "token-1", "token-1", "token-2"]


@pytest.mark.parametrize(
    "refusal",
    [
        EXPIRED,
        error("APIGW.0307", status=401),
        error("APIG.0301", status=401),
        reply({}, 401),
        Reply(401),
        reply({"error": {"code": 401, "message": "The token has expired.", "title": "Unauthorized"}}, 401),
    ],
)
@pytest.mark.parametrize("call", [show, copy_vault])
def test_a_refused_token_is_replaced_once(
    service: Service, make_client: MakeClient, refusal: Reply, call: Callable[[CbrClient], object]
) -> None:
    service.iam_answers(token_answer("token-1"), token_answer("token-2"))
    service.answers(refusal, SHOWN if call is show else replication(RECORD))
    call(make_client(USER))
    assert [request.headers["X-Auth-Token"] for request in service.cbr_requests] == ["token-1", "token-2"]
    assert service.cbr_requests[0].body == service.cbr_requests[1].body


@pytest.mark.parametrize("call", [show, copy_vault])
def test_a_second_refusal_ends_it(service: Service, make_client: MakeClient, call: Callable[[CbrClient], object]) -> None:
    service.iam_answers(token_answer("token-1"), token_answer("token-2"), token_answer("token-3"))
    service.answers(EXPIRED)
    with pytest.raises(CbrAuthenticationError):
        call(make_client(USER))
    assert len(service.cbr_requests) == 2
    assert len(service.iam_requests) == 2


@pytest.mark.parametrize(
    "refusal", [error("APIG.0303", status=401), error("APIG.0302", status=403), error("BackupService.6105", status=404)]
)
def test_other_refusals_do_not_ask_for_a_new_token(service: Service, make_client: MakeClient, refusal: Reply) -> None:
    service.iam_answers(token_answer("token-1"))
    service.answers(refusal)
    with pytest.raises(CbrApiError):
        show(make_client(USER))
    assert len(service.requests) == 2


def test_a_malformed_url_is_a_wrong_id_and_no_reason_to_log_in_again(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1"))
    service.answers(reply({"unauthorized": {"code": "401", "message": "Malformed request url"}}, 401))
    with pytest.raises(CbrNotFoundError, match=r"project_id"):
        show(make_client(USER))
    assert len(service.requests) == 2


def test_an_inner_authorisation_failure_renews_for_reads_only(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1"), token_answer("token-2"))
    failure = error("BackupService.9998", status=500)
    service.answers(failure, SHOWN)
    show(make_client(USER))
    service.answers(failure, replication(RECORD))
    with pytest.raises(CbrAuthenticationError):
        copy_vault(make_client(USER))
    assert len(service.cbr_requests) == 3


def test_a_wrong_password_is_tried_once_and_named(service: Service, make_client: MakeClient, pauses: list[float]) -> None:
    service.iam_answers(reply({"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}}, 401))
    with pytest.raises(CbrAuthenticationError, match=r"The username or password is wrong"):
        copy_vault(make_client(USER))
    assert len(service.requests) == 1
    assert pauses == []


@pytest.mark.parametrize(
    "answer", [reply({"token": {}}, 201), reply({}, 201, X_Subject_Token="t"), reply({"token": {}}, 201, X_Subject_Token="two words")]
)
def test_a_login_without_a_usable_token(service: Service, make_client: MakeClient, answer: Reply) -> None:
    service.iam_answers(answer)
    with pytest.raises(CbrProtocolError, match=r"KeystoneCreateUserTokenByPassword") as caught:
        copy_vault(make_client(USER))
    assert not caught.value.sent


@pytest.mark.parametrize("trouble", [RESET, reply({}, 503), error("IAM.0006", status=500), error("IAM.0012", status=429)])
def test_logging_in_is_repeated_when_iam_has_trouble(service: Service, make_client: MakeClient, trouble: Reply) -> None:
    service.iam_answers(trouble, trouble, token_answer("token-1"))
    service.answers(replication(RECORD))
    copy_vault(make_client(USER))
    assert len(service.iam_requests) == 3


def test_trouble_of_iam_leaves_no_doubt_about_the_replicate_call(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1"), RESET)
    service.answers(EXPIRED)
    with pytest.raises(CbrTransportError) as caught:
        copy_vault(make_client(USER, retry_budget=0))
    assert not isinstance(caught.value, CbrOutcomeUnknownError)
    assert not caught.value.sent


# --- threads ----------------------------------------------------------------------------------------------------------


def in_threads(count: int, work: Callable[[], object]) -> list[object]:
    """Run ``work`` in so many threads at once; return results and errors."""
    barrier = threading.Barrier(count)

    def run() -> object:
        barrier.wait()
        try:
            return work()
        except Exception as problem:
            return problem

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(count)]]


def test_threads_that_need_a_token_at_once_log_in_once(service: Service, make_client: MakeClient) -> None:
    service.iam_answers(token_answer("token-1"))
    service.answers(SHOWN)
    results = in_threads(8, lambda: show(make_client(USER)))
    assert not [result for result in results if isinstance(result, Exception)]
    assert len(service.iam_requests) == 1


def test_threads_whose_token_is_refused_at_once_log_in_once(service: Service, make_client: MakeClient) -> None:
    tokens = iter(range(1, 100))
    service.iam_answers(lambda request: token_answer(f"token-{next(tokens)}"))
    service.answers(lambda request: EXPIRED if request.headers["X-Auth-Token"] == "token-1" else SHOWN)
    client = make_client(USER)
    results = in_threads(8, lambda: show(client))
    assert not [result for result in results if isinstance(result, Exception)]
    assert len(service.iam_requests) == 2


def test_threads_with_a_wrong_password_try_it_once(service: Service, make_client: MakeClient) -> None:
    waiting = threading.Semaphore(0)
    real_guard = tokens._TOKENS._guard

    class Guard:
        """Counts who has come to wait for the login."""

        def __enter__(self) -> None:
            real_guard.acquire()

        def __exit__(self, *exc_info: object) -> None:
            real_guard.release()
            waiting.release()

    def refuse(request: Request) -> Reply:
        # The first login is answered when all eight threads wait for it.
        if len(service.iam_requests) == 1:
            for _ in range(8):
                assert waiting.acquire(timeout=20)
        return reply({"error": {"code": 401, "message": "wrong", "title": "Unauthorized"}}, 401)

    service.iam_answers(refuse)
    client = make_client(USER)
    tokens._TOKENS._guard = Guard()  # type: ignore[assignment]
    try:
        results = in_threads(8, lambda: show(client))
    finally:
        tokens._TOKENS._guard = real_guard
    assert all(isinstance(result, CbrAuthenticationError) for result in results)
    assert len(service.iam_requests) == 1


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_each_new_token_is_told_before_it_is_used(service: Service, make_client: MakeClient) -> None:
    told: list[tuple[str, int]] = []
    service.iam_answers(token_answer("token-1"), token_answer("token-2"))
    service.answers(SHOWN, EXPIRED, SHOWN)
    client = make_client(USER, on_secret=lambda secret: told.append((secret, len(service.cbr_requests))))
    show(client)
    show(client)
    show(client)
    assert told == [("token-1", 0), ("token-2", 2)]


def test_a_token_from_the_cache_is_told_too(service: Service, make_client: MakeClient) -> None:
    told: list[str] = []
    service.iam_answers(token_answer("token-1"))
    service.answers(SHOWN)
    show(make_client(USER))
    show(make_client(USER, on_secret=told.append))
    assert told == ["token-1"]


def test_no_secret_is_logged_or_raised(service: Service, make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    """Even a service that echoes everything it is sent does not get secrets into messages."""

    def echo(request: Request) -> Reply:
        text = f"{request.headers} {request.body.decode()}"
        return error("APIG.0301", text, 503)

    caplog.set_level(logging.DEBUG)
    texts = []
    service.answers(echo)
    service.iam_answers(token_answer("the-token"))
    for credentials in (USER, AkSkCredentials("ACCESSKEY", "the-secret-key", "the-security-token")):
        for call in (show, copy_vault):
            with pytest.raises(CbrAuthenticationError) as caught:
                call(make_client(credentials))
            texts.append(f"{caught.value} {caught.value!r} {caught.value.__cause__} {vars(caught.value)}")
    service.iam_answers(lambda request: error("IAM.0001", request.body.decode(), 401))
    with pytest.raises(CbrAuthenticationError) as caught:
        show(make_client(PasswordCredentials("u", "the-password", "acme")))
    texts.append(str(caught.value))
    everything = " ".join(texts) + caplog.text
    for secret in ("the-token", "the-secret-key", "the-security-token", "the-password"):
        assert secret not in everything
