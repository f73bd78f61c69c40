"""Backing a vault up once: what to ask for, whose checkpoint it is that lies there, and whether it is whole. Knows nothing of Airflow."""
