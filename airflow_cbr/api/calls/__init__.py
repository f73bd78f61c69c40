"""The calls of CBR's API, one module for each kind of thing that they are about; :class:`airflow_cbr.api.client.CbrClient` has them all."""
