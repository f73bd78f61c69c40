"""The page "CBR replication" in a browser, against a stand-in for the api-server."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_cbr.plugins.replication_page import PREFIX
from tests.support.airflow_stand_in import NOW, PATH, AirflowStandIn, outcome_of, task_row, vault_id
from tests.support.browser import appearances, open_page, serious_violations, widest_overflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, Frame, Page

    Opened = Callable[..., AbstractContextManager[Page]]

REPLICATE = "CbrReplicateCheckpointOperator"
HOSTILE = '<img src=x onerror="window.harm=1"><script>window.harm=1</script>\u202e\';--{verdict}'
FINDING = {"subject": "nightly-01", "reason": "there is no replica", "advice": "Replicate it again."}
STATES = ["success", "failed", "skipped", "upstream_failed", "removed", "running", "deferred", "queued", "up_for_retry", "restarting", None]


def verdicts(page: Page | Frame) -> dict[str, str]:
    """Return the verdict of each row by the last digits of its source vault."""
    rows = page.eval_on_selector_all(
        "tr[data-verdict]", "rows => rows.map(row => [row.querySelector('code').textContent, row.dataset.verdict])"
    )
    return {str(int(vault.rpartition("-")[2])): verdict for vault, verdict in rows}


def replication_of(vault: str, **counts: int) -> dict[str, Any]:
    known = {"accepted": 0, "adopted": 0, "already": 0, "succeeded": 0, "failed": 0, "skipped": 0, "missing": 0}
    full = outcome_of(vault)
    return {"kind": "replication", "source": full["source"], "destination": full["destination"], "counts": {**known, **counts}}


# --- verdicts -----------------------------------------------------------------------------------------------------------------


def test_only_a_verify_task_that_said_verified_of_a_young_enough_replica_makes_a_row_green(airflow: AirflowStandIn, opened: Opened) -> None:
    green = set()
    outcomes: list[dict[str, Any] | None] = [
        None,
        *(
            {"verdict": verdict, "age": age, "max_age": max_age}
            for verdict, age, max_age in product(
                ("verified", "failed", "unproven", "VERIFIED"), (None, -3600.0, 60.0, 90_000.0), (None, 86_400.0)
            )
        ),
    ]
    for number, (state, outcome) in enumerate(product(STATES, outcomes)):
        vault = vault_id(number)
        airflow.rows.append(task_row(vault, state=state, outcome=outcome and outcome_of(vault, **outcome)))
        if state == "success" and outcome == {"verdict": "verified", "age": 60.0, "max_age": 86_400.0}:
            green.add(str(number))
    for number, other in enumerate(
        [
            "Truncated. You can ...",
            7,
            [],
            {"kind": "replication", "verdict": "verified"},
            {"verdict": "verified"},
            outcome_of(vault_id(1005), verdict="unproven"),
        ],
        1000,
    ):
        airflow.rows.append(task_row(vault_id(number), outcome=other))

    with opened() as page:
        shown = verdicts(page)

    assert len(shown) == len(airflow.rows)
    assert {number for number, verdict in shown.items() if verdict == "verified"} == green


@pytest.mark.parametrize(
    ("tasks", "verdict", "says"),
    [
        ([{"age": 60}], "verified", "1 min old, RPO 1 d"),
        ([{"age": 90_000}], "late", "1 d 1 h old, RPO 1 d"),
        ([{"age": 60, "max_age": None}], "unjudged", "has no max_age"),
        ([{"age": 60, "max_age": None}, {"run": 1, "max_age": 7200}], "verified", "RPO 2 h"),
        ([{"state": "failed"}, {"run": 1}], "failed", "1 d"),
        ([{"state": "running"}, {"run": 1, "age": 7200}], "running", "2 h old"),
        ([{"state": "up_for_retry"}, {"run": 1, "age": 7200}], "running", "2 h old"),
        ([{"state": "up_for_retry", "verdict": "failed"}, {"run": 1}], "failed", "will look again"),
        ([{"state": "failed", "replicates": True}, {"run": 1}], "failed", "nothing has been verified since"),
        ([{"state": "failed", "replicates": True}, {}], "verified", "1 h old"),
        ([{"state": "running", "replicates": True}, {"run": 1}], "verified", "1 h old"),
        ([{"replicates": True}], "unknown", "No verify task"),
        ([{"verdict": "unproven"}], "unknown", "proves no copy"),
        ([{}, {"task_id": "verify_batch", "verdict": "unproven"}], "unknown", "proves no copy"),
        ([{}, {"task_id": "verify_batch", "state": "failed"}], "failed", ""),
        ([{}, {"task_id": "verify_batch", "state": "running"}], "running", ""),
        ([{"age": 60}, {"task_id": "verify_batch", "age": 100_000}], "late", "1 d 3 h old"),
        ([{"age": 60}, {"task_id": "verify_batch", "age": None}], "unknown", "not known"),
        ([{}, {"run": 1, "dag": "audit", "state": "failed"}], "verified", ""),
    ],
)
def test_the_newest_run_decides_and_the_worst_of_its_tasks(
    airflow: AirflowStandIn, opened: Opened, tasks: list[dict[str, Any]], verdict: str, says: str
) -> None:
    for task in tasks:
        told = {name: task.pop(name) for name in ("age", "max_age", "verdict") if name in task}
        if task.pop("replicates", False):
            airflow.rows.append(task_row(vault_id(1), operator=REPLICATE, **task))
        else:
            outcome = outcome_of(vault_id(1), **told) if told or "state" not in task else None
            airflow.rows.append(task_row(vault_id(1), outcome=outcome, **task))

    with opened() as page:
        assert verdicts(page) == {"1": verdict}
        assert says in page.inner_text("tr[data-verdict]")


def test_green_does_not_outlast_the_rpo_while_nobody_refreshes(airflow: AirflowStandIn, browser: Browser) -> None:
    airflow.rows.append(task_row(vault_id(1), outcome=outcome_of(vault_id(1), age=80_000)))
    with open_page(browser) as page:
        page.clock.install()
        page.goto(airflow.page)
        page.wait_for_selector("tr[data-verdict=verified]")
        page.focus("td.task a")
        page.clock.fast_forward("02:00:00")
        page.wait_for_selector("tr[data-verdict=late]")
        assert page.evaluate("document.activeElement.closest('td').className") == "task", "the keyboard stays where it was"


def test_the_browsers_clock_decides_nothing(airflow: AirflowStandIn, browser: Browser) -> None:
    airflow.rows.append(task_row(vault_id(1), outcome=outcome_of(vault_id(1), age=90_000)))
    with open_page(browser) as page:
        page.clock.install(time=NOW - timedelta(days=1))
        page.goto(airflow.page)
        page.wait_for_selector("tr[data-verdict=late]")


# --- reading ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before_33", "dags"), [(False, 1), (True, 1), pytest.param(True, 200, marks=pytest.mark.full)], ids=["3.3", "3.1", "3.1, a Dag each"]
)
def test_two_hundred_vaults_take_ten_requests_and_little_of_the_processor(
    airflow: AirflowStandIn, browser: Browser, before_33: bool, dags: int
) -> None:
    airflow.before_33 = before_33
    for night, number in product(range(30), range(200)):
        vault, dag = vault_id(number), f"nightly {number % dags}"
        airflow.rows.append(task_row(vault, outcome=outcome_of(vault), run=night, dag=dag))
        copied = replication_of(vault, accepted=3, succeeded=3)
        airflow.rows.append(task_row(vault, outcome=copied, operator=REPLICATE, run=night, dag=dag))
    with open_page(browser) as page:
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(f"{airflow.url}/plugin/cbr-replication")
        frame = page.frames[1]
        frame.wait_for_selector("tr[data-verdict]")
        spent = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}

        assert list(verdicts(frame).values()) == ["verified"] * 200
    ours = [path for path in airflow.requests if f"{PREFIX}/" in path or "/api/v2/" in path]
    assert len(ours) <= 10, "the page, its files, and what it asks Airflow for"
    assert len(airflow.calls) == (6 if before_33 else 5)
    # Of the processor's time, so that a busy machine changes nothing.
    assert spent["TaskDuration"] < 2.0


@pytest.mark.parametrize("before_33", [False, pytest.param(True, marks=pytest.mark.full)], ids=["3.3", "3.1"])
def test_it_reads_on_while_a_page_brings_a_vault_that_was_not_seen(airflow: AirflowStandIn, opened: Opened, before_33: bool) -> None:
    airflow.before_33 = before_33
    airflow.rows = [task_row(vault_id(number), outcome=outcome_of(vault_id(number))) for number in range(950)]

    with opened() as page:
        assert len(verdicts(page)) == 950


def test_what_was_not_read_is_said_and_can_be_read(airflow: AirflowStandIn, opened: Opened) -> None:
    for run in range(700):
        airflow.rows.append(task_row(vault_id(1), outcome=outcome_of(vault_id(1)), dag="often", run=run))
    airflow.rows.append(task_row(vault_id(2), outcome=outcome_of(vault_id(2), age=900 * 86400), dag="once a year", run=701))

    with opened() as page:
        assert verdicts(page) == {"1": "verified"}
        assert "Older runs were not read" in page.inner_text("#older")
        page.click("#older button")
        page.wait_for_selector("tr[data-verdict=late]")
        assert verdicts(page) == {"1": "verified", "2": "late"}
        assert page.is_hidden("#older")


def test_behind_a_page_that_is_missing_nothing_is_used(airflow: AirflowStandIn, opened: Opened) -> None:
    airflow.rows = [task_row(vault_id(number), outcome=outcome_of(vault_id(number)), run=number // 50) for number in range(400)]
    airflow.answer = lambda request: JSONResponse({"detail": "busy"}, 500) if request.query_params["offset"] == "100" else None

    with opened() as page:
        shown = verdicts(page)
        assert "HTTP 500: busy" in page.inner_text("#problem")
        assert "not complete" in page.inner_text("#problem")
    assert len(shown) == 100
    # The second run is that of the last task that was read: more of it may lie behind.
    assert sorted(shown.values()) == ["unknown"] * 50 + ["verified"] * 50


def test_older_runs_are_read_once_however_often_they_are_asked_for(airflow: AirflowStandIn, opened: Opened) -> None:
    for run in range(1400):
        airflow.rows.append(task_row(vault_id(1), outcome=outcome_of(vault_id(1)), dag="often", run=run))

    with opened() as page:
        before = len(airflow.calls)
        page.evaluate("() => { const more = document.querySelector('#older button'); more.click(); more.click(); }")
        page.wait_for_function("name => !document.querySelector('#older').textContent.includes(name)", arg=page.inner_text("#older")[:80])
        assert len(airflow.calls) == before + 4, "each page begins where the one before has ended"


@pytest.mark.parametrize(("times", "says"), [(1, ""), (9, "changed while it was read")])
def test_a_list_that_loses_rows_while_it_is_read_is_read_again_and_hides_nothing(
    airflow: AirflowStandIn, opened: Opened, times: int, says: str
) -> None:
    airflow.rows = [task_row(vault_id(number), outcome=outcome_of(vault_id(number))) for number in range(300)]
    left = [times]

    def fewer(request: Any) -> Response | None:
        if request.query_params.get("offset") != "200" or not left[0]:
            return None
        left[0] -= 1
        return JSONResponse({"task_instances": airflow.rows[199:298], "total_entries": 298})

    airflow.answer = fewer
    with opened() as page:
        assert page.inner_text("#problem").endswith(f"{says}. Refresh." if says else "")
        assert len(verdicts(page)) == (200 if says else 300)


def test_a_copy_that_a_worker_follows_is_asked_for_by_its_xcom(airflow: AirflowStandIn, opened: Opened) -> None:
    airflow.rows = [
        task_row(vault_id(1), operator=REPLICATE, state="running"),
        task_row(vault_id(2), operator=REPLICATE, state="deferred", outcome=replication_of(vault_id(2), accepted=5, succeeded=4)),
    ]
    airflow.xcoms["replicate", "replication"] = {"accepted": 10, "adopted": 2, "succeeded": 3}

    with opened() as page:
        assert sorted(page.locator("td.copy").all_inner_texts()) == ["3 of 12 copied", "4 of 5 copied"]
        assert page.locator("td.copy progress").count() == 2


# --- before Airflow 3.3 -------------------------------------------------------------------------------------------------------


def test_before_33_every_row_says_what_it_says_on_33(airflow: AirflowStandIn, opened: Opened) -> None:
    some_vaults(airflow)
    airflow.rows.append(task_row(vault_id(7), operator="BashOperator", dag="finance", task_id="verify"))
    with opened() as page:
        before = page.inner_html("#rows")
    assert "verified" in before
    airflow.before_33 = True
    with opened() as page:
        assert page.inner_html("#rows") == before
        assert page.is_hidden("#problem")


def test_before_33_what_has_ended_meanwhile_is_shown_as_it_ended(airflow: AirflowStandIn, opened: Opened) -> None:
    airflow.before_33 = True
    airflow.rows = [task_row(vault_id(1), outcome=outcome_of(vault_id(1)))]

    def fail_now(request: Any) -> None:
        if request.method == "POST":
            airflow.rows[0]["state"] = "failed"

    airflow.answer = fail_now
    with opened() as page:
        assert verdicts(page) == {"1": "failed"}


def check_that_a_refresh_mends_it(airflow: AirflowStandIn, page: Page) -> None:
    """Let Airflow answer as it should, and check that the page shows what is right again."""
    airflow.answer = lambda _: None
    page.click("#refresh")
    page.wait_for_selector("table")
    assert page.is_hidden("#problem")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (JSONResponse({"detail": "Forbidden"}, 403), "You may not see task instances"),
        pytest.param(JSONResponse({"detail": "Method Not Allowed"}, 405), "HTTP 405: Method Not Allowed", marks=pytest.mark.full),
        pytest.param(JSONResponse({"task_instances": 7}), "a proxy may be in between", marks=pytest.mark.full),
        (JSONResponse({"task_instances": [], "total_entries": 0}), "changed while it was read"),
        pytest.param(HTMLResponse("<p>Sign in to the proxy"), "a proxy may be in between", marks=pytest.mark.full),
    ],
    ids=["forbidden", "no POST", "other shape", "nothing", "proxy"],
)
def test_before_33_nothing_is_made_up_where_the_second_list_is_missing(
    airflow: AirflowStandIn, opened: Opened, answer: Response, says: str
) -> None:
    airflow.before_33 = True
    some_vaults(airflow)
    airflow.answer = lambda request: answer if request.method == "POST" else None
    with opened() as page:
        assert says in page.inner_text("#problem")
        assert page.locator("table").count() == 0
        check_that_a_refresh_mends_it(airflow, page)


def test_before_33_nothing_is_used_behind_a_task_that_is_gone(airflow: AirflowStandIn, opened: Opened) -> None:
    airflow.before_33 = True
    airflow.rows = [task_row(vault_id(number), outcome=outcome_of(vault_id(number)), run=number) for number in range(9)]
    gone = JSONResponse({"task_instances": airflow.rows[:3] + airflow.rows[4:], "total_entries": 8})
    airflow.answer = lambda request: gone if request.method == "POST" else None
    with opened() as page:
        assert "changed while it was read" in page.inner_text("#problem")
        # The run of the last one that is used may go on behind it.
        assert verdicts(page) == {"0": "verified", "1": "verified", "2": "unknown"}


def test_before_33_older_runs_that_could_not_be_read_are_read_with_the_next_attempt(airflow: AirflowStandIn, opened: Opened) -> None:
    airflow.before_33 = True
    airflow.rows = [task_row(vault_id(1), outcome=outcome_of(vault_id(1)), dag="often", run=run) for run in range(700)]
    airflow.rows.append(task_row(vault_id(2), outcome=outcome_of(vault_id(2), age=900 * 86400), dag="once a year", run=701))
    with opened() as page:
        airflow.answer = lambda request: JSONResponse({"detail": "busy"}, 500) if request.method == "POST" else None
        page.click("#older button")
        page.wait_for_selector("#problem:not([hidden])")
        assert verdicts(page) == {"1": "verified"}
        airflow.answer = lambda _: None
        page.click("#older button")
        page.wait_for_selector("tr[data-verdict=late]")
        assert verdicts(page) == {"1": "verified", "2": "late"}
        assert page.is_hidden("#older")
        assert page.is_hidden("#problem")


# --- without fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before_33", [pytest.param(False, marks=pytest.mark.full), True], ids=["3.3", "3.1"])
def test_a_task_that_has_begun_and_has_no_fields_does_not_hide_behind_the_run_before(
    airflow: AirflowStandIn, opened: Opened, before_33: bool
) -> None:
    airflow.before_33 = before_33
    expected = {}
    for number, (state, began, verdict) in enumerate(
        [
            ("failed", True, "failed"),
            ("upstream_failed", False, "failed"),
            ("success", True, "unknown"),
            ("running", True, "running"),
            ("queued", False, "verified"),
        ]
    ):
        vault = vault_id(number)
        newest = task_row(vault, state=state, rendered_fields={})
        expected[str(number)] = verdict
        airflow.rows += [
            newest if began else {**newest, "start_date": None},
            task_row(vault, outcome=outcome_of(vault), run=1),
            # What has lost its fields of old hides nothing.
            task_row(vault, state="failed", rendered_fields={}, run=2),
        ]
    airflow.rows.append(task_row(vault_id(9), state="failed", rendered_fields={}, run=2, dag="other"))
    with opened() as page:
        assert verdicts(page) == expected


# --- looking ------------------------------------------------------------------------------------------------------------------


def some_vaults(airflow: AirflowStandIn) -> None:
    """Let there be one vault of each kind."""
    ids = [vault_id(number) for number in range(6)]
    airflow.rows = [
        task_row(ids[0], outcome=outcome_of(ids[0], age=3600)),
        task_row(ids[1], outcome=outcome_of(ids[1], verdict="failed", age=None, findings=[FINDING], findings_total=9), state="failed"),
        task_row(ids[2], outcome=outcome_of(ids[2], age=200_000, size_gb=7)),
        task_row(ids[3], state="running"),
        task_row(ids[4], outcome=outcome_of(ids[4], age=7200, max_age=None)),
        task_row(ids[5], operator=REPLICATE, state="deferred", outcome=replication_of(ids[5], accepted=5, succeeded=4)),
        task_row(ids[0], operator=REPLICATE, outcome=replication_of(ids[0], accepted=2, succeeded=2), dag="finance"),
    ]


def test_the_worst_comes_first_and_every_column_sorts(airflow: AirflowStandIn, opened: Opened) -> None:
    some_vaults(airflow)
    with opened() as page:
        assert list(verdicts(page).items()) == [
            ("1", "failed"),
            ("2", "late"),
            ("3", "running"),
            ("5", "running"),
            ("4", "unjudged"),
            ("0", "verified"),
        ]
        for column in ("verdict", "vault", "age", "size", "copy", "task"):
            for order in ("descending" if column == "verdict" else "ascending", "ascending" if column == "verdict" else "descending"):
                page.click(f"#by-{column}")
                assert page.get_attribute(f"th:has(#by-{column})", "aria-sort") == order
                assert page.evaluate("document.activeElement.id") == f"by-{column}"
        page.click("#by-vault")
        assert list(verdicts(page)) == list("012345")
        assert page.inner_text("#status").startswith("6 vault pairs at ")
        assert "1 failed · 1 too old · 2 running · 1 verified, no RPO · 1 verified" in page.inner_text("#status")


@pytest.mark.parametrize(
    ("words", "found"), [("FAILED", "1"), ("cn-shenzhen-1 00003", "3"), ("too old", "2"), ("d0000000", "012345"), ("nobody", "")]
)
def test_the_search_looks_at_all_that_is_shown(airflow: AirflowStandIn, opened: Opened, words: str, found: str) -> None:
    some_vaults(airflow)
    with opened() as page:
        page.fill("#search", words)
        assert "".join(sorted(verdicts(page))) == found
        assert found or "No vault pair matches" in page.inner_text("#rows")


def test_vaults_are_called_by_their_names_and_a_row_by_no_bare_number(airflow: AirflowStandIn, opened: Opened) -> None:
    names = ("vault-nightly", "vault-replicas")
    way = "vault-nightly: cn-north-4 -> cn-shenzhen-1"
    outcomes = {number: outcome_of(vault_id(number), names=names) for number in range(4)} | {4: outcome_of(vault_id(4))}
    outcomes[5] = outcome_of(vault_id(5), names=("007", " "))
    for number, label in enumerate([None, "1", way, "finance", "0", " 5 "]):
        airflow.rows.append(task_row(vault_id(number), outcome=outcomes[number], rendered_map_index=label))
    # What a task that knew no names has said since does not take them away.
    airflow.rows.append(task_row(vault_id(0), operator=REPLICATE, state="running"))
    with opened() as page:
        shown = {int(vault[-2:]): vault_text for vault, vault_text in page.eval_on_selector_all(
            "td.vault", "cells => cells.map(cell => [cell.querySelector('code').textContent, cell.innerText.split(/\\s*\\n/)])"
        )}  # fmt: skip
        assert [text for text in page.locator("td.vault strong").all_inner_texts() if text.strip().isdigit()] == ["007"]
        page.fill("#search", "vault-REPLICAS vault-nightly")
        assert sorted(verdicts(page)) == ["0", "1", "2", "3"]
        page.click("#by-vault")
        assert list(verdicts(page)) == ["3", "0", "1", "2"], "sorted by what they are called"
    source, destination = (f"{one} {vault_id(0)[:-1]}" for one in ("vault-nightly cn-north-4", "→ vault-replicas cn-shenzhen-1"))
    destination = destination.replace(" 0000", " d000")
    for number in (0, 1, 2):
        assert shown[number] == [f"{source}{number}", f"{destination}{number}"]
    assert shown[3] == ["finance", f"{source}3", f"{destination}3"]
    assert shown[4] == [f"cn-north-4 {vault_id(4)}", f"→ cn-shenzhen-1 d{vault_id(4)[1:]}"]
    assert shown[5] == [f"007 cn-north-4 {vault_id(5)}", f"→ cn-shenzhen-1 d{vault_id(5)[1:]}"]


def test_where_there_is_no_replica_the_age_says_so_and_not_where_that_is_not_known(airflow: AirflowStandIn, opened: Opened) -> None:
    cases: list[tuple[list[Any], str, str]] = [
        ([{"total": 3, "unprotected": 3}], "none", "没有"),
        ([{"total": 3, "unprotected": 1}], "none for 1 of 3 resources", "3 个资源中有 1 个没有"),
        ([{"total": 3, "unprotected": 0}], "not known", "不明"),
        ([{"total": 0, "unprotected": 0}], "not known", "不明"),
        ([None], "not known", "不明"),
        ([7], "not known", "不明"),
        ([{"total": "3", "unprotected": "3"}], "not known", "不明"),
        ([{"total": 2, "unprotected": 3}], "not known", "不明"),
        # Of two tasks of one run, each has judged a part.
        ([{"total": 2, "unprotected": 2}, {"total": 2, "unprotected": 2}], "none", "没有"),
        ([{"total": 2, "unprotected": 1}, {"total": 2, "unprotected": 1}], "not known", "不明"),
        ([{"total": 2, "unprotected": 2}, None], "not known", "不明"),
    ]
    for number, (tasks, _, _) in enumerate(cases):
        for part, resources in enumerate(tasks):
            told = outcome_of(vault_id(number), verdict="failed", age=None, resources=resources)
            airflow.rows.append(task_row(vault_id(number), outcome=told, state="failed", task_id=f"verify_{part}"))
    some = outcome_of(vault_id(90), age=None, resources={"total": 2, "unprotected": 1})
    airflow.rows.append(task_row(vault_id(90), outcome=some))
    ages = "rows => rows.map(row => [row.querySelector('code').textContent, row.querySelector('td.age').innerText])"
    for locale, column in (("en-GB", 1), ("zh-CN", 2)):
        with opened(locale=locale) as page:
            shown = {int(vault[-2:]): age for vault, age in page.eval_on_selector_all("tr[data-verdict]", ages)}
            assert [shown[number] for number in range(len(cases))] == [case[column] for case in cases]
            assert verdicts(page)["90"] == "unknown", "whatever is verified beside it"
            if locale == "en-GB":
                assert "a resource has no verified replica" in page.inner_text("tr.unknown td.verdict")


def test_a_failure_shows_its_reason_its_advice_and_the_way_on(airflow: AirflowStandIn, opened: Opened) -> None:
    some_vaults(airflow)
    finding = {"name": "nightly-07", "id": "b7", "reason": "the copy was lost", "advice": "Copy it again."}
    resource = {"name": "web-01", "id": "r1", "verified_at": None}
    airflow.xcoms["verify", "verification"] = {"findings": [finding], "resources": [resource]}
    with opened() as page:
        page.click("tr.failed .badge")
        shown = page.inner_text("tr.details")
        assert all(one in shown for one in ("nightly-01: there is no replica", "What to do: Replicate it again.", "and 8 more"))
        links = dict(page.eval_on_selector_all("tr.details a", "links => links.map(a => [a.textContent, a.getAttribute('href')])"))
        assert links["log"].startswith(f"{airflow.url}/dags/nightly/runs/scheduled__")
        assert links["log"].endswith("/tasks/verify/mapped/1?try_number=1")
        assert links["all runs of the task"] == f"{airflow.url}/dags/nightly/tasks/verify"
        assert links["console, source"] == "https://console.huaweicloud.com/cbr/?region=cn-north-4"
        page.click("text=Show the report")
        page.wait_for_selector("text=nightly-07 b7")
        assert page.evaluate("document.activeElement.closest('tr').className") == "details"
        assert "web-01 r1: none" in page.inner_text("tr.details")


def test_copies_that_failed_are_listed_with_their_records(airflow: AirflowStandIn, opened: Opened) -> None:
    failed = {**replication_of(vault_id(1), accepted=9, failed=9), "error": "9 of 9 not covered.", "advice": "Run it again."}
    failed |= {"problems": ["web-01: failed (record r1: no room)", "web-02: failed (record r2: no room)"], "problems_total": 9}
    airflow.rows = [task_row(vault_id(1), operator=REPLICATE, state="failed", outcome=failed)]
    with opened() as page:
        page.click("tr.failed .badge")
        shown = page.inner_text("tr.details")
    assert all(
        one in shown for one in ("9 of 9 not covered.", "What to do: Run it again.", "web-02: failed (record r2: no room)", "and 7 more")
    )


def test_a_tasks_link_leads_to_its_vault_with_what_failed_open(airflow: AirflowStandIn, browser: Browser) -> None:
    some_vaults(airflow)
    airflow.rows[1]["rendered_fields"]["outcome"]["findings"] = [{**FINDING, "record_id": "the-record"}]
    with open_page(browser) as page:
        page.goto(f"{airflow.url}/plugin/cbr-replication?search={vault_id(1)}")
        frame = page.frame_locator("iframe")
        frame.locator("tr.details").wait_for()
        assert verdicts(page.frames[1]) == {"1": "failed"}
        assert "Replication record: the-record" in frame.locator("tr.details").inner_text()
        assert frame.locator("#search").input_value() == vault_id(1)


def test_an_address_leads_to_what_failed_of_a_vault_with_two_destinations_and_knows_names(
    airflow: AirflowStandIn, browser: Browser
) -> None:
    vault, names = vault_id(1), ("vault-nightly", "vault-replicas")
    elsewhere = outcome_of(vault, verdict="failed", findings=[FINDING], names=names)
    elsewhere["destination"]["vault_id"] = vault_id(77)
    airflow.rows = [
        task_row(vault, outcome=outcome_of(vault, names=names)),
        task_row(vault, outcome=elsewhere, state="failed", dag="elsewhere"),
        task_row(vault_id(2), outcome=outcome_of(vault_id(2), names=("other", None)), state="failed"),
    ]
    with open_page(browser) as page:
        page.goto(f"{airflow.url}/plugin/cbr-replication?search={vault.upper()}")
        page.frames[1].wait_for_selector("tr.details")
        assert page.frames[1].locator("tr[data-verdict]").count() == 2
        assert page.frames[1].locator("tr.failed + tr.details").count() == page.frames[1].locator("tr.details").count() == 1
        page.goto(f"{airflow.page}?search=Other%20cn-north-4")
        page.wait_for_selector("tr.details")
        assert verdicts(page) == {"2": "failed"}


def test_refresh_shows_what_has_changed_and_keeps_what_is_open(airflow: AirflowStandIn, opened: Opened) -> None:
    some_vaults(airflow)
    with opened() as page:
        page.click("tr.failed .badge")
        airflow.rows[0]["state"] = "failed"
        page.click("#refresh")
        page.wait_for_selector("tr.failed >> nth=1")
        assert page.locator("tr.details").count() == 1


def test_hostile_words_are_words(airflow: AirflowStandIn, opened: Opened) -> None:
    finding = {"subject": HOSTILE, "reason": HOSTILE, "advice": HOSTILE}
    outcome = outcome_of(
        HOSTILE, verdict="failed", names=(f"here {HOSTILE}", f"there {HOSTILE}"), findings=[finding], report="javascript:window.harm=1"
    )
    outcome |= {"consoles": {"source": "javascript:window.harm=1", "destination": "data:text/html,<script>window.harm=1</script>"}}
    outcome["source"]["region"] = outcome["destination"]["region"] = HOSTILE
    row = task_row(HOSTILE, outcome=outcome, state="failed", dag="../../" + HOSTILE, task_id=HOSTILE, dag_run_id=HOSTILE)
    row["rendered_map_index"] = f"label {HOSTILE}"
    airflow.rows = [row]
    airflow.xcoms[HOSTILE, "verification"] = {"findings": [{**finding, "name": HOSTILE}], "resources": [{"name": HOSTILE}, 7, None]}
    with opened() as page:
        page.click(".badge")
        page.wait_for_selector("tr.details")
        assert page.locator("td.vault strong bdi").all_text_contents() == [f"label {HOSTILE}", f"here {HOSTILE}", f"there {HOSTILE}"]
        assert page.evaluate("window.harm") is None
        assert page.locator("main img, main script").count() == 0
        hrefs = page.eval_on_selector_all("main a", "links => links.map(a => a.href)")
        assert len(hrefs) >= 3
        assert [href for href in hrefs if not href.startswith(f"{airflow.url}/dags/")] == []
        assert HOSTILE in page.inner_text("tr.details")


def test_a_report_of_any_size_and_shape_is_shown(airflow: AirflowStandIn, opened: Opened) -> None:
    some_vaults(airflow)
    odd: Any = {"toString": 7, "valueOf": []}
    finding = {"name": odd, "id": odd, "record_id": odd, "reason": odd, "advice": odd}
    resource = {"name": odd, "id": 7, "verified_at": odd}
    airflow.xcoms["verify", "verification"] = {"findings": [finding] * 20_000, "resources": [resource] * 20_000}
    with opened() as page:
        page.click("tr.failed .badge")
        page.click("text=Show the report")
        page.wait_for_selector("text=and 19000 more")
        assert page.locator("tr.details li").count() < 2100
        for shape in (7, [None], {"findings": "none", "resources": {}}):
            airflow.xcoms["verify", "verification"] = shape
            page.click("#refresh")
            page.click("text=Show the report")
            page.wait_for_selector("text=Nothing is wrong")


# --- errors -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (JSONResponse({"detail": "Not authenticated"}, 401), "You are not signed in"),
        (JSONResponse({"detail": "Forbidden"}, 403), "You may not see task instances"),
        (JSONResponse({"detail": HOSTILE}, 500), f"Airflow answers with HTTP 500: {HOSTILE}"),
        (Response("Bad Gateway", 502), "Airflow answers with HTTP 502"),
        (HTMLResponse("<p>Sign in to the proxy"), "a proxy may be in between"),
        (JSONResponse({"task_instances": 7}), "a proxy may be in between"),
        (JSONResponse(None), "a proxy may be in between"),
    ],
    ids=["not signed in", "forbidden", "error", "gateway", "proxy", "other shape", "null"],
)
def test_an_error_is_said_and_nothing_is_made_up(airflow: AirflowStandIn, opened: Opened, answer: Response, says: str) -> None:
    some_vaults(airflow)
    airflow.answer = lambda _: answer
    with opened() as page:
        page.wait_for_selector("#problem:not([hidden])")
        assert says in page.inner_text("#problem")
        assert page.locator("#problem a").count() == (1 if "signed in" in says else 0)
        assert page.locator("table").count() == 0
        check_that_a_refresh_mends_it(airflow, page)


def test_a_server_that_is_gone_is_said(airflow: AirflowStandIn, opened: Opened) -> None:
    with opened() as page:
        assert "No replicate or verify task that you may see has run" in page.inner_text("#rows")
        page.route("**/api/v2/**", lambda route: route.abort())
        page.click("#refresh")
        page.wait_for_selector("text=Airflow does not answer")


@pytest.mark.parametrize(("answer", "says"), [(None, "no report yet"), (JSONResponse({}, 403), "may not read the XComs")])
def test_a_report_that_cannot_be_had_is_said(airflow: AirflowStandIn, opened: Opened, answer: Response | None, says: str) -> None:
    some_vaults(airflow)
    airflow.answer = lambda request: answer if "xcomEntries" in request.url.path else None
    with opened() as page:
        page.click("tr.failed .badge")
        page.click("text=Show the report")
        page.wait_for_selector(f"text={says}")


# --- everybody ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("locale", "width", "theme"), appearances(["en-GB", "zh-CN"], narrow=390))
def test_everybody_can_read_it(airflow: AirflowStandIn, opened: Opened, locale: str, width: int, theme: str) -> None:
    some_vaults(airflow)
    airflow.rows[0]["rendered_map_index"] = "a-very-long-name-of-a-vault-" * 5
    airflow.rows[0]["rendered_fields"]["outcome"]["source"]["vault_name"] = "another" * 14
    # axe brings styles of its own, which the page's policy refuses.
    with opened(theme=theme, width=width, locale=locale, bypass_csp=True) as page:
        page.click("tr.failed .badge")
        page.click("tr.verified .badge")
        assert serious_violations(page) == []
        assert widest_overflow(page) == 0
        assert page.get_attribute("html", "lang") == ("zh-CN" if locale == "zh-CN" else "en")
        assert page.inner_text("#by-verdict") == ("结论" if locale == "zh-CN" else "Verdict")


def test_both_languages_say_everything(airflow: AirflowStandIn, opened: Opened) -> None:
    with opened() as page:
        lacking = page.evaluate(
            """async () => {
                const source = await (await fetch("texts.js")).text();
                const catalogue = (name) => source.split(`const ${name} = {`)[1].split("\\n};")[0];
                return ["english", "chinese"].map((name) => [...catalogue(name).matchAll(/^ +(\\w+):/gm)].map((one) => one[1]));
            }"""
        )
    assert lacking[0] == lacking[1]
    assert len(lacking[0]) > 40


def test_the_keyboard_is_enough(airflow: AirflowStandIn, opened: Opened) -> None:
    some_vaults(airflow)
    with opened() as page:
        page.focus("#search")
        page.keyboard.type("failed")
        for _ in range(8):  # refresh, six columns, the row
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "A"


def test_the_theme_and_the_language_chosen_in_airflow_win(airflow: AirflowStandIn, opened: Opened) -> None:
    with opened() as page:
        page.evaluate("localStorage.setItem('theme', 'dark'); localStorage.setItem('i18nextLng', 'zh-CN')")
        page.reload()
        page.wait_for_selector("#rows:not([aria-busy])", state="attached")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 25, 30)"
        assert page.inner_text("h1") == "CBR 复制"


def test_inside_airflows_frame_a_link_leads_the_whole_window_on(airflow: AirflowStandIn, browser: Browser) -> None:
    some_vaults(airflow)
    with open_page(browser) as page:
        page.goto(f"{airflow.url}/plugin/cbr-replication")
        frame = page.frame_locator("iframe")
        frame.locator("td.task a").first.click()
        page.wait_for_url(f"**{PATH}/dags/nightly/runs/**")
        page.goto(f"{airflow.url}/plugin/cbr-replication")
        frame.locator("tr.failed .badge").click()
        with page.context.expect_page() as other:
            frame.locator("text=console, source").click()
        assert other.value.evaluate("window.opener") is None
