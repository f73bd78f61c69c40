"""The page "CBR replication" in a real Airflow: in its navigation, signed in and not, and for a user who may not see the Dag."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from airflow_cbr.demo.waiting import wait_until
from airflow_cbr.emulator.world import DESTINATION_PROJECT, SOURCE_PROJECT
from tests.support.airflow_rest import trigger
from tests.support.browser import open_page
from tests.support.guarded_airflow import guarded_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.stack import AirflowStack
    from tests.support.emulator import ControlClient
    from tests.support.guarded_airflow import GuardedAirflow

LIMIT = 120_000  # milliseconds


@pytest.fixture(scope="module")
def guarded(stack: AirflowStack) -> Iterator[GuardedAirflow]:
    with guarded_airflow(stack) as running:
        yield running


@pytest.fixture
def audited(api: AirflowApi, control: ControlClient) -> dict[str, str]:
    """Audit a vault that is replicated and one that is not; return the verdicts that the page must show by the source vault."""
    there = control.add_vault(project_id=DESTINATION_PROJECT, protect_type="replication", size=100_000)["id"]
    verdicts, vaults = {}, []
    for verdict, replicated_to in (("verified", [there]), ("failed", [])):
        server = str(uuid.uuid4())
        backups = [{"id": str(uuid.uuid4()), "resource_id": server, "replicated_to": replicated_to}]
        made: dict[str, Any] = control.add_vault(
            project_id=SOURCE_PROJECT, size=100_000, resources=[{"id": server, "name": "ecs <b>01</b>"}], backups=backups
        )
        verdicts[made["id"]] = verdict
        ids = {"destination_region": "cn-shenzhen-1", "destination_project_id": DESTINATION_PROJECT, "destination_vault_id": there}
        vaults.append({"vault_id": made["id"], **ids})
    run = trigger(api, "page_audit", {"vaults": vaults})

    def ended() -> bool:
        states = [row["state"] for row in run.tasks() if row["task_id"] == "audit"]
        return sorted(map(str, states)) == ["failed", "success"]

    wait_until(ended, limit=180, what="both vaults are audited", every=0.5)
    return verdicts


def verdicts(page: Page) -> dict[str, str]:
    """Return the verdict of each row by the source vault."""
    rows = page.eval_on_selector_all(
        "tr[data-verdict]", "rows => rows.map(row => [row.querySelector('code').textContent, row.dataset.verdict])"
    )
    return dict(rows)


def test_it_is_in_the_navigation_and_a_link_leads_to_the_task(stack: AirflowStack, audited: dict[str, str], browser: Browser) -> None:
    with open_page(browser) as page:
        page.goto(f"{stack.url}/", timeout=LIMIT)
        # Airflow 3.1 keeps it below "Browse" or "Plugins", later ones beside "Dags".
        page.wait_for_selector("nav, [role=navigation], #root a", timeout=LIMIT)
        plugins = page.evaluate(f"fetch('{stack.url}/api/v2/plugins').then(answer => answer.json())")["plugins"]
        (view,) = [view for plugin in plugins for view in plugin["external_views"] if view["name"] == "CBR replication"]
        assert view["url_route"] == "cbr-replication"
        page.goto(f"{stack.url}/plugin/cbr-replication", timeout=LIMIT)
        shown = page.frame_locator("iframe[title='CBR replication']")
        for vault, verdict in audited.items():
            shown.locator(f"tr.{verdict}:has-text('{vault}')").wait_for(timeout=LIMIT)
        shown.locator("tr.failed .badge").first.click()
        assert "What to do:" in shown.locator("tr.details").first.inner_text()
        assert "ecs <b>01</b>" in shown.locator("tr.details").first.inner_text()
        shown.locator("text=Show the report").first.click()
        shown.locator("tr.details h3").first.wait_for(timeout=LIMIT)
        shown.locator("td.task a").first.click()
        page.wait_for_url("**/dags/page_audit/runs/*/tasks/audit/mapped/*", timeout=LIMIT)


def shown_to(user: str | None, guarded: GuardedAirflow, browser: Browser) -> tuple[dict[str, str], str, str]:
    """Return what the page shows a user, or somebody who is not signed in: rows, problem, text instead of rows."""
    with open_page(browser) as page:
        if user is not None:
            guarded.sign_in(page, user)
        page.goto(f"{guarded.url}/cbr-replication/", timeout=LIMIT)
        page.wait_for_selector("#rows:not([aria-busy])", state="attached", timeout=LIMIT)
        return verdicts(page), page.inner_text("#problem"), page.inner_text("#rows")


@pytest.mark.full
def test_who_may_see_what(guarded: GuardedAirflow, audited: dict[str, str], browser: Browser) -> None:
    for user in ("ada", "vera"):
        rows, problem, _ = shown_to(user, guarded, browser)
        assert audited.items() <= rows.items(), user
        assert problem == ""

    assert shown_to(None, guarded, browser)[:2] == ({}, "You are not signed in to Airflow. Sign in")
    rows, problem, _ = shown_to("nobody", guarded, browser)
    assert (rows, problem.partition(".")[0]) == ({}, "You may not see task instances in this Airflow")
    rows, problem, _ = shown_to("hidden", guarded, browser)
    assert not audited.keys() & rows.keys()
    assert problem == ""
