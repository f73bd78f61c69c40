"""The catalogue: complete, free of contradictions, and the same as its published page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_cbr.api import error_lookup, errors_page
from airflow_cbr.api.catalogue_row import Decision
from airflow_cbr.api.error_lookup import decide, find, is_uncertain, normalise_code
from airflow_cbr.api.errors import CATALOGUE
from airflow_cbr.exceptions import (
    CbrAlreadyReplicatedError,
    CbrApiError,
    CbrAuthenticationError,
    CbrBusyError,
    CbrNotFoundError,
    CbrPermissionError,
    CbrRefusedError,
    CbrThrottledError,
    CbrUnavailableError,
    CbrVaultReplicatingError,
)

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"

# Every code that the API's documents list for replication and its surroundings, written down a second time, by class.
RETRY_LATER = [
    "0002",
    "1001",
    "1007",
    "1008",
    "2010",
    "4005",
    "6118",
    "6125",
    "6134",
    "6201",
    "6203",
    "6216",
    "8400",
    "4004",
    "4006",
    "4007",
    "6107",
    "6108",
    "6110",
    "6111",
    "6115",
    "6121",
    "6123",
    "6139",
    "6206",
    "7200",
    "7203",
    "7501",
    "7504",
    "7505",
    "7506",
    "7302",
    "6400",
    "6401",
    "6402",
    "6403",
    "6404",
    "6405",
    "6406",
    "6407",
    "6408",
]
PERMANENT = [
    "0001",
    "1002",
    "1003",
    "1004",
    "1005",
    "1006",
    "1011",
    "1012",
    "1013",
    "2004",
    "6003",
    "6105",
    "6112",
    "6113",
    "6114",
    "6119",
    "6120",
    "6122",
    "6124",
    "6128",
    "6129",
    "6131",
    "6200",
    "6217",
    "6500",
    "6501",
    "6204",
    "6220",
    "8600",
    "9900",
]


def error(code: str | None, status: int, kind: type[CbrApiError] = CbrApiError) -> CbrApiError:
    return kind("x", error_code=code, http_status=status)


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == errors_page.render(), "python -m airflow_cbr.api.errors_page > docs/reference/errors.md"


def test_the_page_can_be_made_from_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "airflow_cbr.api.errors_page"], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == errors_page.render()


def test_every_row_is_on_the_page_with_its_class_and_advice() -> None:
    lines = errors_page.render().splitlines()
    for row in CATALOGUE:
        assert any(f"`{row.code}`" in line and row.error.__name__ in line and row.advice in line for line in lines), row


def judgement(code: str, status: int) -> tuple[Decision, bool, bool] | None:
    """Return what the catalogue says of a code: the decision, whether the error is permanent, and whether it may have worked."""
    row = find(f"BackupService.{code}", status)
    return None if row is None else (row.decision, row.error.permanent, row.uncertain)


def test_codes_that_pass() -> None:
    assert {code: said for code in RETRY_LATER if (said := judgement(code, 400)) != (Decision.RETRY, False, False)} == {}


def test_codes_that_stay() -> None:
    judged = {code: judgement(code, 500) for code in PERMANENT}
    assert {code: said for code, said in judged.items() if said is None or said[:2] != (Decision.FAIL, True)} == {}


def test_no_code_of_cbr_is_missing_or_invented() -> None:
    codes = {row.code.removeprefix("BackupService.") for row in CATALOGUE if row.code.startswith("BackupService.")}
    assert codes == {*RETRY_LATER, *PERMANENT, "1009", "6130", "9910", "9998"}


# The same of IMS and ECS: what a drill does about a code.
WHOSE_CALL_MAY_HAVE_WORKED = [
    *("IMG.0014", "IMG.0016", "IMG.0018", "IMG.0061", "IMG.1075", "Ecs.0000", "Ecs.0002", "Ecs.0201", "Ecs.0202", "Ecs.0203", "Ecs.0204"),
    *("Ecs.0205", "Ecs.0212", "Ecs.0217", "Ecs.0219", "Ecs.0226", "Ecs.0615", "Ecs.1000", "Ecs.1001", "Ecs.1002", "Ecs.1100", "Ecs.1200"),
    *("Ecs.1201", "Ecs.1300"),
]


def test_what_failed_inside_may_have_made_an_image_or_a_server() -> None:
    machines = [row for row in CATALOGUE if row.code.startswith(("IMG.", "Ecs."))]
    assert len(machines) > 80
    assert sorted(row.code for row in machines if row.uncertain) == sorted(WHOSE_CALL_MAY_HAVE_WORKED)
    assert [row.code for row in machines if row.uncertain and row.error.permanent] == []


@pytest.mark.parametrize(
    ("code", "kind", "decision"),
    [
        ("IMG.0015", CbrRefusedError, Decision.FAIL),
        ("IMG.0020", CbrNotFoundError, Decision.FAIL),
        ("IMG.0029", CbrRefusedError, Decision.FAIL),
        ("IMG.0032", CbrBusyError, Decision.RETRY),
        ("IMG.0090", CbrBusyError, Decision.RETRY),
        ("IMG.0026", CbrPermissionError, Decision.FAIL),
        ("Ecs.0001", CbrRefusedError, Decision.FAIL),
        ("Ecs.0005", CbrRefusedError, Decision.FAIL),
        ("Ecs.0114", CbrNotFoundError, Decision.FAIL),
        ("Ecs.0219", CbrUnavailableError, Decision.RETRY),
        ("Ecs.0319", CbrBusyError, Decision.RETRY),
    ],
)
def test_codes_of_images_and_servers(code: str, kind: type[CbrApiError], decision: Decision) -> None:
    row = find(code, 400)
    assert row is not None
    assert (row.error, row.decision) == (kind, decision)


def test_what_somebody_else_has_begun_is_adopted() -> None:
    rows = {row.code: row.error for row in CATALOGUE if row.decision is Decision.ADOPT}
    assert rows == {"BackupService.1009": CbrAlreadyReplicatedError, "BackupService.6130": CbrVaultReplicatingError}


@pytest.mark.parametrize("status", [400, 403, 500])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("BackupService.1009", CbrAlreadyReplicatedError),
        ("BackupService.6130", CbrVaultReplicatingError),
        ("BackupService.6125", CbrBusyError),
        ("BackupService.6105", CbrNotFoundError),
        ("BackupService.8600", CbrPermissionError),
    ],
)
def test_the_status_of_a_known_code_does_not_matter(code: str, status: int, kind: type[CbrApiError]) -> None:
    row = find(code, status)
    assert row is not None
    assert row.error is kind


@pytest.mark.parametrize(
    ("status", "kind", "uncertain"),
    [
        (400, CbrRefusedError, False),
        (413, CbrRefusedError, False),
        (414, CbrRefusedError, False),
        (494, CbrRefusedError, False),
        (500, CbrUnavailableError, True),
        (502, CbrUnavailableError, True),
        (504, CbrUnavailableError, True),
    ],
)
def test_the_one_code_whose_status_does_matter(status: int, kind: type[CbrApiError], uncertain: bool) -> None:
    row = find("APIG.0201", status)
    assert row is not None
    assert (row.error, row.uncertain) == (kind, uncertain)


def test_no_two_rows_hold_for_the_same_answer() -> None:
    seen: set[tuple[str, int]] = set()
    for row in CATALOGUE:
        for status in row.statuses or range(400, 600):
            assert (row.code, status) not in seen, row
            seen.add((row.code, status))


CLASSES: dict[Decision, tuple[type[CbrApiError], ...]] = {
    Decision.RETRY: (CbrBusyError, CbrUnavailableError, CbrThrottledError),
    Decision.REAUTHENTICATE: (CbrAuthenticationError,),
    Decision.ADOPT: (CbrAlreadyReplicatedError, CbrVaultReplicatingError),
    Decision.FAIL: (CbrRefusedError, CbrNotFoundError, CbrPermissionError, CbrAuthenticationError),
}


def test_decision_and_class_say_the_same() -> None:
    assert [
        f"{row.code}: {row.decision}, {row.error.__name__}" for row in CATALOGUE if not issubclass(row.error, CLASSES[row.decision])
    ] == []


def test_meanings_and_advice_are_sentences() -> None:
    assert [row.code for row in CATALOGUE if not (row.meaning.endswith(".") and row.advice.endswith("."))] == []


@pytest.mark.parametrize(
    ("code", "iam", "expected"),
    [
        ("BackupService.6130", False, "BackupService.6130"),
        ("6130", False, "BackupService.6130"),
        ("0001", False, "BackupService.0001"),
        (" 0001\n", False, "BackupService.0001"),
        ("0001", True, "IAM.0001"),
        ("IAM.0001", False, "IAM.0001"),
        ("APIG.0308", False, "APIG.0308"),
        ("APIGW.0308", False, "APIG.0308"),
        ("APIGW.0308", True, "APIG.0308"),
        ("SomethingElse.1", False, "SomethingElse.1"),
        ("12345", False, "12345"),
        ("\u0661\u0662\u0663\u0664", False, "\u0661\u0662\u0663\u0664"),
    ],
)
def test_codes_are_written_in_one_way(code: str, iam: bool, expected: str) -> None:
    assert normalise_code(code, iam=iam) == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, CbrRefusedError),
        (401, CbrAuthenticationError),
        (403, CbrPermissionError),
        (404, CbrNotFoundError),
        (408, CbrUnavailableError),
        (409, CbrRefusedError),
        (410, CbrNotFoundError),
        (418, CbrRefusedError),
        (429, CbrThrottledError),
        (500, CbrUnavailableError),
        (503, CbrUnavailableError),
        (599, CbrUnavailableError),
    ],
)
def test_unknown_codes_are_classified_by_status(status: int, kind: type[CbrApiError]) -> None:
    assert error_lookup.error_class_of_status(status) is kind
    assert f"`{kind.__name__}`" in errors_page.render()


@pytest.mark.parametrize(
    ("raised", "decision"),
    [
        (error("BackupService.1009", 500), Decision.ADOPT),
        (error("BackupService.6125", 400), Decision.RETRY),
        (error("APIG.0307", 401), Decision.REAUTHENTICATE),
        (error("APIG.0303", 401, CbrAuthenticationError), Decision.FAIL),
        (error(None, 401, CbrAuthenticationError), Decision.REAUTHENTICATE),
        (error(None, 503, CbrUnavailableError), Decision.RETRY),
        (error(None, 429, CbrThrottledError), Decision.RETRY),
        (error(None, 401, CbrNotFoundError), Decision.FAIL),
        (error("New.1", 400, CbrRefusedError), Decision.FAIL),
    ],
)
def test_decisions_about_errors(raised: CbrApiError, decision: Decision) -> None:
    assert decide(raised) is decision


@pytest.mark.parametrize(
    ("raised", "uncertain"),
    [
        (error("BackupService.9910", 500, CbrUnavailableError), True),
        (error("BackupService.8400", 500, CbrUnavailableError), False),
        (error("BackupService.1007", 500, CbrUnavailableError), False),
        (error("BackupService.6130", 500, CbrVaultReplicatingError), False),
        (error("APIG.0203", 504, CbrUnavailableError), True),
        (error("APIG.0201", 502, CbrUnavailableError), True),
        (error("APIG.0201", 400, CbrRefusedError), False),
        (error("APIG.0613", 503, CbrUnavailableError), False),
        (error("BackupService.7777", 500, CbrUnavailableError), True),
        (error(None, 502, CbrUnavailableError), True),
        (error(None, 408, CbrUnavailableError), True),
        (error(None, 400, CbrRefusedError), False),
        (error(None, 429, CbrThrottledError), False),
    ],
)
def test_what_leaves_the_outcome_of_a_replicate_call_open(raised: CbrApiError, uncertain: bool) -> None:
    assert is_uncertain(raised) is uncertain
