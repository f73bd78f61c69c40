"""Every XCom of a whole night, read back as a user's program reads it: over REST, as it is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from airflow_cbr.verification.document import report_schema
from tests.support.airflow_rest import trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth
    from tests.support.emulated_vaults import VaultPair

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

#: What each task of the night must have pushed, besides what only Airflow needs.
PUSHED = {
    "preflight": {"return_value", "preflight", "plan"},
    "checkpoint": {"return_value", "checkpoint"},
    "replicate": {"return_value", "replication"},
    "verify": {"return_value", "verification"},
}


def test_each_xcom_of_a_night_is_plain_json(
    api: AirflowApi, vaults: Callable[..., VaultPair], default_connection: Callable[[Auth], None]
) -> None:
    default_connection("aksk")
    pair = vaults(backups=2, resources=[{"size": 25}, {"size": 40}])
    run = trigger(api, "cbr_nightly_chain", pair.params())
    assert run.wait(limit=600) == "success", run.task_states()
    stored: dict[str, dict[str, Any]] = {task_id: run.xcoms(task_id) for task_id in PUSHED}
    for task_id, keys in PUSHED.items():
        assert keys <= set(stored[task_id]), task_id
    assert "__classname__" not in json.dumps(stored)
    assert "__type" not in json.dumps(stored)
    jsonschema.validate(stored["verify"]["verification"], report_schema(), jsonschema.Draft202012Validator)
    assert stored["replicate"]["replication"]["gb"] == stored["preflight"]["return_value"]["gb"], "said before is what was paid"
    assert stored["checkpoint"]["checkpoint"]["vault"]["vault_id"] == pair.source
