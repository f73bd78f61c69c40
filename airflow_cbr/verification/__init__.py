"""Verifying both sides: what the source says was copied, what the destination holds, and whether that is enough. Knows no Airflow."""
