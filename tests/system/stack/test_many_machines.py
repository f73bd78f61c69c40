"""A wrong password in many tasks, each on a machine of its own: the deployment is refused once, and a corrected one works at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.refused_logins import check_that_a_wrong_secret_is_tried_once

if TYPE_CHECKING:
    from airflow_cbr.demo.rest import AirflowApi
    from airflow_cbr.demo.scenario import Auth

# As long as many other cases together.
pytestmark = pytest.mark.full

MACHINES = 24


@pytest.mark.timeout(600)
@pytest.mark.parametrize("auth", ["password", "aksk"])
def test_a_wrong_secret_is_tried_once_by_the_whole_deployment(api: AirflowApi, auth: Auth) -> None:
    check_that_a_wrong_secret_is_tried_once(api, auth, MACHINES)
