"""Take the pictures of the pages that need a browser: the page "CBR replication", and a report of evidence.

``make pictures`` takes them after those of tools/pictures.py. What they show are the vaults of ``airflow-cbr demo --ui`` on a morning on
which not everything is well, at a fixed time; the api-server behind the page is a stand-in.
"""

from __future__ import annotations

import re
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = REPOSITORY / "docs/pictures"
MORNING: Final = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)
NIGHTS: Final = 7

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def _rows() -> list[dict[str, Any]]:
    from airflow_cbr.demo.vaults import audited_vaults
    from tests.support.airflow_stand_in import outcome_of, task_row

    hour = 3600.0
    finding = {
        "subject": "ecs-warehouse-01",
        "reason": "it has no replication record to vault vault-replicas",
        "advice": "Run the replicate task again.",
    }
    shown: list[tuple[str, str, dict[str, Any]]] = [
        ("finance", "success", {"age": 5 * hour}),
        ("website", "success", {"age": 9 * hour}),
        ("mail", "failed", {"verdict": "failed", "age": 5 * 24 * hour}),
        ("warehouse", "failed", {"verdict": "failed", "age": 31 * hour, "findings_total": 1, "findings": [finding]}),
    ]
    rows = []
    for (name, state, more), ids in zip(shown, audited_vaults(), strict=True):
        names = f"vault-{name}", "vault-replicas"
        outcome = outcome_of(ids["vault_id"], max_age=36 * hour, at=MORNING, names=names, **more)
        label = f"vault-{name}: cn-north-4 -> cn-shenzhen-1"
        rows.append(task_row(ids["vault_id"], outcome=outcome, state=state, dag="cbr_audit", rendered_map_index=label))
    return rows


def page(browser: Browser, file: Path) -> None:
    """Take the page "CBR replication".

    :param browser: takes it.
    :param file: where to.
    """
    from tests.support import airflow_stand_in
    from tests.support.browser import open_page

    airflow_stand_in.NOW = MORNING  # type: ignore[misc]
    with airflow_stand_in.AirflowStandIn() as airflow:
        airflow.rows = _rows()
        with open_page(browser, width=1100, height=358, timezone_id="UTC") as shown:
            shown.goto(airflow.page)
            shown.wait_for_selector("#rows:not([aria-busy])", state="attached")
            shown.screenshot(path=file)


def report(browser: Browser, file: Path) -> None:
    """Take the beginning of a report of evidence.

    :param browser: takes it.
    :param file: where to.
    """
    from airflow_cbr.cli import main as airflow_cbr
    from airflow_cbr.evidence.folder import FolderStore
    from tests.support.browser import open_page
    from tests.support.evidence_nights import add, night, verification

    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder) / "evidence")
        for number in range(NIGHTS):
            ages = {"web-01": 3600.0, "db-01": None if number == 3 else 1800.0}
            add(store, night(number), verification(ages, at=night(number)))
        first, last = night(0).date(), (night(0) + timedelta(days=NIGHTS - 1)).date()
        made = Path(folder) / "report.html"
        airflow_cbr(["evidence", "report", str(Path(folder) / "evidence"), "--from", str(first), "--to", str(last), "--out", str(made)])
        # Where and when it was made is this machine's.
        text = made.read_text(encoding="utf-8").replace(f"{folder}/evidence", "/srv/backup-evidence")
        text = re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d\+00:00, airflow-cbr", f"{MORNING:%Y-%m-%dT%H:%M}+00:00, airflow-cbr", text)
        with open_page(browser, width=1000, height=640, timezone_id="UTC") as shown:
            shown.set_content(text)
            shown.screenshot(path=file)


def main(folder: Path) -> None:
    """Take all of them.

    :param folder: where to.
    """
    sys.path.insert(0, str(REPOSITORY))
    from tests.support.browser import running_browser

    with running_browser() as browser:
        page(browser, folder / "page.png")
        report(browser, folder / "evidence-report.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
