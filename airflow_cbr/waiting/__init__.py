"""Waiting for copies: one poll for many waiters, how often an account is asked, when to look next. Knows no Airflow."""
