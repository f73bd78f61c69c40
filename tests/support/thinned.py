"""Cases of which some are run each time, and all of them in campaigns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], *, every: int) -> list[Any]:
    """Return cases for ``parametrize``: the first of each ``every`` is always run, and the others with ``make test``.

    :param cases: the cases; a tuple is one that gives several parameters.
    :param every: how many make a handful.
    """
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.campaign] if number % every else [])
        for number, case in enumerate(cases)
    ]
