"""A secret does not show: not in a repr, a copy, a pickle, or a traceback with the frames' locals."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cbr.api.auth import AkSkCredentials, PasswordCredentials
from airflow_cbr.api.endpoints import Endpoints
from airflow_cbr.api.secret import Secret
from airflow_cbr.exceptions import CbrConfigurationError, CbrError
from tests.unit.api.service import BACKUP, DESTINATION, RESET, VAULT, Reply, Request, Service, error, raw, reply, token_answer

if TYPE_CHECKING:
    from airflow_cbr.api import auth
    from airflow_cbr.api.client import CbrClient
    from tests.unit.api.conftest import MakeClient

KEY, SESSION, PASSWORD, TOKEN = "SECRETKEY-nobody", "SECURITYTOKEN-nobody", "PASSWORD-nobody", "TOKEN-nobody"
KEYS = AkSkCredentials("AK", KEY, SESSION)
USER = PasswordCredentials("user", PASSWORD, "acme")


LEAKS: list[Callable[[Any], Any]] = [
    lambda secret: f"{secret}",
    lambda secret: f"{secret:>80}",
    lambda secret: "{}".format(secret),  # noqa: UP032 - one of the ways
    pickle.dumps,
    copy.copy,
    lambda secret: copy.deepcopy({"x": [secret]}),
    vars,
    json.dumps,
]


def shown(secret: Secret) -> list[str]:
    """Return what may be seen of a secret, and what each way to get more of it is answered with."""
    found = [repr(secret), str(secret), repr([secret]), repr({"x": secret})]
    for leak in LEAKS:
        with pytest.raises(TypeError) as caught:
            leak(secret)
        found.append(str(caught.value))
    return found


@given(st.text(), st.text())
def test_nothing_shows_it(text: str, other: str) -> None:
    """What is seen is the same, whatever the text is: a short text may well be in a sentence that says nothing of it."""
    secret = Secret(text)
    assert secret.reveal() == text
    assert shown(secret) == shown(Secret(other))


@given(st.text(), st.text())
def test_secrets_are_compared_by_their_texts(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one
    assert hash(Secret(one)) == hash(Secret(one))
    assert bool(Secret(one)) is bool(one)
    assert Secret.of(Secret(one)) == Secret.of(one)


@pytest.mark.parametrize("credentials", [KEYS, USER])
def test_credentials_keep_their_secrets(credentials: Any) -> None:
    assert "nobody" not in repr(credentials) + str(credentials) + str(vars(credentials))
    for leak in (pickle.dumps, copy.deepcopy, dataclasses.asdict):
        with pytest.raises(TypeError):
            leak(credentials)
    assert dataclasses.replace(credentials) == credentials


# --- the frames of an error -------------------------------------------------------------------------------------------


def frames_of(error: BaseException) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every frame that a printer of tracebacks can get at, but those of the tests."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        step: TracebackType | None = one.__traceback__
        while step is not None:
            if "/tests/" not in step.tb_frame.f_code.co_filename:
                yield f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}", dict(step.tb_frame.f_locals)
            step = step.tb_next


def check(error: BaseException) -> None:
    frames = list(frames_of(error))
    assert frames
    for where, names in frames:
        for name, value in names.items():
            assert "nobody" not in repr(value), f"{where} {name}"
            assert "Signature=" not in repr(value), f"{where} {name}"
    assert "nobody" not in f"{error} {error!r} {vars(error)}"


def show(client: CbrClient) -> object:
    return list(client.list_backups(show_replication=True))


def copy_vault(client: CbrClient) -> object:
    return client.replicate_checkpoint(vault_id=VAULT, **DESTINATION)


LOGGED_IN = token_answer(TOKEN)
#: Each with what it repeats: all that went out with the request.
TROUBLES: dict[str, Callable[[str], Reply]] = {
    "refused": lambda echo: error("BackupService.6200", f"you sent {echo}", X_Request_Id=f"id-{echo}"),
    "unauthorised": lambda echo: error("APIG.0307", f"not {echo}", 401),
    "reset": lambda echo: RESET,
    "no HTTP": lambda echo: raw(b"220 ftp ready\r\n"),
    "truncated": lambda echo: raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
    "no JSON": lambda echo: Reply(200, b"<html>" + echo.encode(), {"Content-Type": f"text/html; x={echo}"}),
    "other JSON": lambda echo: reply({"backups": echo, "replication": echo, "token": echo, "projects": echo}),
    "redirect": lambda echo: Reply(302, headers={"Location": f"https://example.com/{echo}", "X-Request-Id": echo}),
    "badly compressed": lambda echo: Reply(200, b"no gzip", {"Content-Encoding": "gzip"}),
}
ECHOES = {KEYS: KEY + SESSION, USER: PASSWORD + TOKEN}


@pytest.mark.parametrize("call", [show, copy_vault])
@pytest.mark.parametrize("credentials", [KEYS, USER], ids=["keys", "user"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_no_frame_of_an_error_holds_a_secret(
    service: Service,
    make_client: MakeClient,
    trouble: Callable[[str], Reply],
    credentials: auth.Credentials,
    call: Callable[[CbrClient], object],
) -> None:
    service.iam_answers(LOGGED_IN)
    service.answers(trouble(ECHOES[credentials]))
    with pytest.raises(CbrError) as caught:
        call(make_client(credentials, retry_budget=0))
    check(caught.value)


@pytest.mark.parametrize("credentials", [KEYS, USER], ids=["keys", "user"])
@pytest.mark.parametrize(
    "trouble",
    [
        *TROUBLES.values(),
        lambda echo: reply({"token": 1}, 201, X_Subject_Token=TOKEN),
        lambda echo: reply({"token": {"project": {"id": TOKEN, "name": 1}}}, 201, X_Subject_Token=TOKEN),
        lambda echo: reply({"token": {}}, 201, X_Subject_Token=f"{TOKEN} with a space"),
    ],
)
def test_no_frame_of_an_error_on_the_way_to_iam_holds_a_secret(
    service: Service, make_client: MakeClient, trouble: Callable[[str], Reply], credentials: auth.Credentials
) -> None:
    service.iam_answers(trouble(ECHOES[credentials].removesuffix(TOKEN)))
    with pytest.raises(CbrError) as caught:
        show(make_client(credentials, project_id=None, retry_budget=0))
    check(caught.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "https://127.0.0.1:9", "http://nowhere.invalid"])
def test_no_frame_of_a_connection_that_is_never_made_holds_a_secret(make_client: MakeClient, endpoint: str) -> None:
    with pytest.raises(CbrError) as caught:
        copy_vault(make_client(KEYS, endpoints=Endpoints(cbr=endpoint), retry_budget=0))
    check(caught.value)


class Stopped(BaseException):
    """What a signal raises in the middle of a call."""


def test_no_frame_of_what_a_signal_raises_holds_a_secret(service: Service, make_client: MakeClient) -> None:
    """As Airflow's own timeout of a task does, while the answer is awaited."""
    over = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def stop(*args: object) -> None:
        raise Stopped

    def interrupt(request: Request) -> Reply:
        signal.pthread_kill(main, signal.SIGUSR2)
        over.wait(30)
        return RESET

    before = signal.signal(signal.SIGUSR2, stop)
    try:
        service.answers(interrupt)
        with pytest.raises(Stopped) as caught:
            show(make_client(KEYS))
    finally:
        over.set()
        signal.signal(signal.SIGUSR2, before)
    check(caught.value)


@pytest.mark.parametrize("make", [lambda: AkSkCredentials("AK", f"{KEY} "), lambda: AkSkCredentials("AK", "x", f"{SESSION}\n")])
def test_no_frame_of_refused_credentials_holds_a_secret(make: Callable[[], object]) -> None:
    with pytest.raises(CbrConfigurationError) as caught:
        make()
    check(caught.value)


def test_a_secret_that_comes_back_in_a_header_is_blacked_out(service: Service, make_client: MakeClient) -> None:
    service.answers(error("X.1", f"you sent {KEY}", X_Request_Id=f"id-{KEY}-{SESSION}"))
    with pytest.raises(CbrError) as caught:
        make_client(KEYS, retry_budget=0).show_backup(BACKUP)
    assert caught.value.request_id == "id-***-***"
    assert "you sent ***" in caught.value.message
