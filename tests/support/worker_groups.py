"""Tests that share something costly run on one worker of pytest-xdist.

The marks of ``--dist loadgroup`` do not reach the scheduler with pytest 9.2 and pytest-xdist 3.8 (the node id that they are written to
is no longer read), and nothing says so: each worker starts a stack of its own. Paths do reach it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer

#: Beginnings of node ids: what begins with one of a group runs on one worker.
TOGETHER: tuple[tuple[str, ...], ...] = (
    # The nights are as long as all the rest of the stack's cases together, so they get a stack of their own.
    ("tests/system/stack/test_random_nights.py::",),
    ("tests/system/stack/",),
    # The demos share nothing, but each starts an Airflow of its own: one at a time is enough, and as a group they do not come last.
    ("tests/system/test_demo_command.py::",),
    # dag.test(): its first run in a process loads all of Airflow and builds the API that tasks speak to.
    (
        "tests/integration/test_example_dag.py::",
        "tests/integration/test_drill_dag.py::",
        "tests/integration/test_many_vaults.py::",
        "tests/integration/test_policy_copies_dag.py::",
        "tests/integration/test_proof_dags.py::",
        "tests/integration/operators/test_outlet_events.py::test_airflow_makes_",
    ),
    ("tests/integration/test_keystone.py::",),
    # A browser each.
    ("tests/unit/plugins/test_page.py::",),
    ("tests/unit/evidence/test_html.py::",),
    ("tests/unit/test_browser.py::",),
    # They read the whole package.
    ("tests/unit/test_rings.py::",),
    # One process imports the Dag files' statements for all of them.
    ("tests/unit/operators/test_imports.py::",),
    # One process reads the connection form for all of them.
    ("tests/unit/test_provider_info.py::",),
    # Airflow's routes of connections ask all providers for their forms, once in a process.
    ("tests/integration/test_connection_page.py::",),
)


def group_of(nodeid: str) -> str:
    """Return what runs together: a group's name, or the test alone."""
    return next((group[0] for group in TOGETHER if nodeid.startswith(group)), nodeid)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist shows its types to nobody
    """Hands out a group as one piece of work, the largest first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling | None:
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
