"""Pruning: which backups and replicas may go, by keep rules and by what protects them, and deleting them one by one. Knows no Airflow."""
