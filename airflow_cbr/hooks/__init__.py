"""The hook: credentials from an Airflow connection, calls to CBR."""
