"""What a check finds in evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cbr.evidence.check import Checked, Problem, walk
from tests.support.evidence_nights import PAIR

if TYPE_CHECKING:
    from airflow_cbr.evidence.folder import EvidenceStore
    from airflow_cbr.evidence.signing import PublicKeys


def problems_in(store: EvidenceStore, keys: PublicKeys | None = None) -> list[Problem]:
    """Return what is wrong with the evidence of the vault pair."""
    return [one for one in walk(store, PAIR, keys) if isinstance(one, Problem)]


def sound_files(store: EvidenceStore, keys: PublicKeys | None = None) -> list[Checked]:
    """Return the files of the vault pair that count."""
    return [one for one in walk(store, PAIR, keys) if isinstance(one, Checked) and one.counts]
