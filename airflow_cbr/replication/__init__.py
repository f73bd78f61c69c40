"""What this package exists for: what counts as replicated, sending a copy once, watching it, verifying it. Knows nothing of Airflow."""
