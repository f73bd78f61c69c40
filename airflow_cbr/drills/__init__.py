"""Restore drills: a replica becomes an image, a server, and nothing again; no Airflow."""
