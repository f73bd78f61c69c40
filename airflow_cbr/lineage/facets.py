"""The lineage of a pair of vaults, and the facet with counts and verdict."""

from __future__ import annotations

from typing import Any, Final

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset
from openlineage.client.facet_v2 import RunFacet

from airflow_cbr.assets import dataset_of

__all__ = ["FACET", "CbrReplicationRunFacet", "lineage_of"]

FACET: Final = "cbr_replication"
"""The key of the facet among those of a run."""


@attr.define
class CbrReplicationRunFacet(RunFacet):
    """Counts and verdict of a replication or a verification.

    :param kind: ``accepted``, ``replicated``, ``verified``, ``unproven`` or ``failed``.
    :param counts: backups by what became of them.
    :param verdict: of a verification: ``verified``, ``unproven`` where nothing fails it and it proves no copy, or ``failed``.
        Default: none was made.
    :param outcome: of a verification: ``passed``, ``warned``, ``skipped`` or ``failed``. Default: none was made.
    :param violations: of a verification: how often each level that was judged is violated. Default: none was made.
    """

    kind: str
    counts: dict[str, int]
    verdict: str | None = None
    outcome: str | None = None
    violations: dict[str, int] | None = None

    _additional_skip_redact = ["kind", "counts", "verdict", "outcome", "violations"]  # noqa: RUF012 - not a field: attrs reads annotations

    @staticmethod
    def _get_schema() -> str:
        return "urn:airflow-cbr:lineage:CbrReplicationRunFacet"


def lineage_of(facts: dict[str, Any]) -> OperatorLineage[Any, Any]:
    """Return the lineage from a source vault to a replica vault.

    :param facts: what a task tells of its vaults, see :mod:`airflow_cbr.operators.facts`.
    """
    told = {name: facts[name] for name in ("kind", "counts", "verdict", "outcome", "violations") if name in facts}
    return OperatorLineage(
        inputs=[Dataset(*dataset_of(**facts["source"]))],
        outputs=[Dataset(*dataset_of(**facts["destination"]))],
        run_facets={FACET: CbrReplicationRunFacet(**told)},
    )
