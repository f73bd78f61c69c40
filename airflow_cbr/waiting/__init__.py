"""Waiting for copies: one poll for many waiters, how often an account is polled, when to poll next. Knows nothing of Airflow."""
