"""What the OpenLineage provider asks an operator when its task has ended. Nothing of OpenLineage is imported before."""

from __future__ import annotations

from typing import Any

from airflow_cbr.airflow_names import BaseOperator

__all__ = ["TracedOperator"]


class TracedOperator(BaseOperator):
    """A task with lineage from a source vault to a replica vault."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the lineage of the attempt; the OpenLineage provider calls this when it has succeeded or failed.

        :param task_instance: the attempt.
        :return: an ``OperatorLineage``; None when the attempt ended before it knew anything of its vaults. Never raises: lineage must not
            fail a task.
        """
        try:
            if (facts := self._lineage_facts()) is None:
                return None
            from airflow_cbr.lineage.facets import lineage_of

            return lineage_of(facts)
        except Exception:
            self.log.warning("The lineage of this task could not be told to OpenLineage", exc_info=True)
            return None

    def _lineage_facts(self) -> dict[str, Any] | None:
        """Return what is known of the vaults, see :mod:`airflow_cbr.operators.facts`; None when that is nothing."""
        raise NotImplementedError
