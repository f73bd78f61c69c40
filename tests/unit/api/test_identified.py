"""What passes for the id of a row."""

from __future__ import annotations

import re
import string

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_cbr.api.calls.identified import _are_row_ids

ALLOWED = f"{string.ascii_letters}{string.digits}_-"


@example([])
@example(["a" * 64])
@example(["a" * 65])
@example(["-", "_"])
@example(["a", ""])
@given(st.lists(st.one_of(st.text(ALLOWED, max_size=66), st.text(max_size=3), st.text(f"{ALLOWED}\n.²é", min_size=62, max_size=66))))
def test_ids_looked_at_together_are_judged_as_one_by_one(ids: list[str]) -> None:
    assert _are_row_ids(ids) == all(re.fullmatch("[0-9A-Za-z_-]{1,64}", one) for one in ids)
