"""Lineage in the terms of OpenLineage. Imported only when the OpenLineage provider asks, since it imports its client."""
