"""A service that speaks CBR and IAM on one port, for demos and tests: it checks what it is sent, and its copies take time.

The ring knows the protocol from the documentation only and imports nothing of :mod:`airflow_cbr.api` or
:mod:`airflow_cbr.replication`: two readings of the same documentation catch each other's mistakes. The manual is
``docs/reference/emulator.md``.
"""
