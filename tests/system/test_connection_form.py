"""The connection's form and its Test button, in Airflow's own page: what is typed there is stored, and Test says what is so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from airflow_cbr.airflow_names import AIRFLOW_VERSION
from airflow_cbr.demo.scenario import CONN_TYPE, connection_fields
from tests.support.api_server import api_server
from tests.support.browser import open_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Locator, Page, Response

    from airflow_cbr.demo.emulator import EmulatorProcess
    from tests.support.api_server import ApiServer

pytestmark = [pytest.mark.full, pytest.mark.timeout(1200)]

LIMIT: Final = 120_000.0  # milliseconds
COMPARES: Final = (3, 3) <= AIRFLOW_VERSION < (3, 4)
"""Airflow 3.3 compares host and port of what the page posts with the stored ones. 3.4 takes the 0 of the page for no port."""
GOOD: Final = "CBR in cn-north-4 answers for project"
REFUSAL: Final = "The host or port to test differs from the stored connection. Include the credentials to test in the request body."


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("airflow")) as running:
        yield running


def open_connections(page: Page, url: str) -> None:
    """Open the list of connections, as the administrator that everybody is there."""
    # Somebody who is not signed in is led to the front page by Airflow 3.1, whatever was asked for.
    page.goto(url, timeout=LIMIT)
    page.get_by_role("button", name="Admin").first.wait_for(timeout=LIMIT)
    page.goto(f"{url}/connections", timeout=LIMIT)


def press_test(page: Page, url: str, conn_id: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Press Test in the list of connections; return the answer's status, what the page posted, and the answer."""
    open_connections(page, url)
    button = page.locator("tr", has=page.get_by_text(conn_id, exact=True)).get_by_role("button", name="Test Connection")

    def is_answer(response: Response) -> bool:
        return response.request.method == "POST" and response.url.split("?")[0].endswith("/connections/test")

    with page.expect_response(is_answer, timeout=LIMIT) as caught:
        button.click(timeout=LIMIT)
    response = caught.value
    posted: dict[str, Any] = response.request.post_data_json or {}
    answer: dict[str, Any] = response.json()
    return response.status, posted, answer


def open_section(form: Locator, name: str) -> None:
    section = form.locator("button[aria-expanded=false]", has_text=name)
    if section.count():
        section.first.click(timeout=LIMIT)


def fill_in(page: Page, url: str, conn_id: str, fields: Mapping[str, Any], *, port: str) -> None:
    """Make a connection with the form, as somebody does who reads its labels."""
    open_connections(page, url)
    page.get_by_role("button", name="Add Connection").click(timeout=LIMIT)
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill(conn_id, timeout=LIMIT)
    form.get_by_role("combobox").first.fill("huawei", timeout=LIMIT)
    page.get_by_role("option").first.click(timeout=LIMIT)
    for name, value in (("login", fields["login"]), ("password", fields["password"]), ("port", port)):
        if value:
            form.locator(f"input[name={name}]").fill(value, timeout=LIMIT)
    # The host and the schema mean nothing here, and are not asked for.
    assert form.locator("input[name=host], input[name=schema]").count() == 0
    open_section(form, "Fields")
    if form.locator("#element_region").count():
        for name, value in fields["extra"].items():
            form.locator(f"input#element_{name}, input[name=element_{name}]").first.fill(value, timeout=LIMIT)
    else:
        # Airflow 3.1 shows no provider's own fields where FAB is not installed.
        open_section(form, "JSON")
        form.locator(".cm-content, .monaco-editor").first.click(timeout=LIMIT)
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(json.dumps(fields["extra"]))
    # What was typed last is taken when its field loses the focus; the id is in no section that could be closed.
    form.locator("input[name=connection_id]").click(timeout=LIMIT)
    form.get_by_role("button", name="Save").click(timeout=LIMIT)
    form.wait_for(state="detached", timeout=LIMIT)


@pytest.mark.parametrize("port", ["0", ""], ids=["port 0", "no port"])
def test_a_connection_of_the_form_is_tested_by_the_page(port: str, airflow: ApiServer, emulator: EmulatorProcess, browser: Browser) -> None:
    conn_id = f"typed_{port or 'none'}"
    fields = connection_fields("aksk", emulator.url)
    with open_page(browser) as page:
        fill_in(page, airflow.url, conn_id, fields, port=port)
        status, posted, answer = press_test(page, airflow.url, conn_id)
    stored = airflow.api.request("GET", f"connections/{conn_id}")
    assert (stored["conn_type"], stored["login"], stored["port"]) == (CONN_TYPE, fields["login"], 0 if port else None)
    extra = json.loads(stored["extra"])
    assert {name: extra[name] for name in fields["extra"]} == fields["extra"]
    assert (posted["host"], posted["port"]) == ("", 0), "what the page makes of a row without a port"
    if port or not COMPARES:
        assert (status, answer["status"]) == (200, True), answer
        assert GOOD in answer["message"]
    else:
        assert (status, answer["detail"]) == (400, REFUSAL), "as the documentation says"


@pytest.mark.parametrize(
    ("conn_id", "options", "works"),
    [
        ("option", ["--conn-port", "0"], True),
        ("no_option", [], False),
        ("text_in_json", {"port": "0"}, True),
        # Airflow takes the number for no port, and stores none.
        ("number_in_json", {"port": 0}, False),
        ("none_in_json", {}, False),
    ],
)
def test_so_is_one_of_the_command_line(
    conn_id: str, options: list[str] | dict[str, Any], works: bool, airflow: ApiServer, emulator: EmulatorProcess, browser: Browser
) -> None:
    fields = connection_fields("aksk", emulator.url)
    if isinstance(options, dict):
        row = {"conn_type": CONN_TYPE, **{name: fields[name] for name in ("login", "password", "extra")}, **options}
        airflow.run("connections", "add", conn_id, "--conn-json", json.dumps(row))
    else:
        given = ["--conn-login", fields["login"], "--conn-password", fields["password"], "--conn-extra", json.dumps(fields["extra"])]
        airflow.run("connections", "add", conn_id, "--conn-type", CONN_TYPE, *given, *options)
    with open_page(browser) as page:
        status, _, answer = press_test(page, airflow.url, conn_id)
    if works or not COMPARES:
        assert (status, answer["status"]) == (200, True), answer
        assert GOOD in answer["message"]
    else:
        assert (status, answer["detail"]) == (400, REFUSAL)


def test_a_wrong_key_is_told_by_the_page(airflow: ApiServer, emulator: EmulatorProcess, browser: Browser) -> None:
    fields = connection_fields("aksk", emulator.url)
    secret = "not-the-key-of-anybody"
    airflow.api.create_connection("wrong", CONN_TYPE, **{**fields, "password": secret, "extra": json.dumps(fields["extra"])})
    with open_page(browser) as page:
        status, posted, answer = press_test(page, airflow.url, "wrong")
        page.get_by_text("Test Connection Failed").first.wait_for(timeout=LIMIT)
    assert posted["password"] == "***", "the page never had it"
    assert (status, answer["status"]) == (200, False)
    assert secret not in answer["message"]
    assert "What to do: " in answer["message"]
