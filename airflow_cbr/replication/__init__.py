"""Replicating a vault's backups: deciding what is missing, starting each copy once, following it. Knows nothing of Airflow."""
