"""Plugins of Airflow: the page "CBR replication"."""
