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

#: Beginnings of node ids; what begins alike runs on one worker.
TOGETHER = (
    # The nights are as long as all the rest of the stack's cases together, so they get a stack of their own.
    "tests/system/stack/test_random_nights.py::",
    "tests/system/stack/",
    # The demos share nothing, but each starts an Airflow of its own: one at a time is enough, and as a group they do not come last.
    "tests/system/test_demo_command.py::",
    "tests/integration/test_example_dag.py::",
    "tests/integration/test_keystone.py::",
    # A browser each.
    "tests/unit/plugins/test_page.py::",
    "tests/unit/evidence/test_html.py::",
    # One process reads the connection form for all of them.
    "tests/unit/test_provider_info.py::",
)


def group_of(nodeid: str) -> str:
    """Return what runs together: a group's name, or the test alone."""
    return next((beginning for beginning in TOGETHER if nodeid.startswith(beginning)), nodeid)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist shows its types to nobody
    """Hands out a group as one piece of work, the largest first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling | None:
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
