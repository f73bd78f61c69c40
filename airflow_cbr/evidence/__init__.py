"""Evidence: one file for each verification, a chain of them for each vault pair, its check, and the report for an auditor."""
