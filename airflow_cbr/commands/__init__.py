"""The subcommands of ``airflow-cbr`` that are more than a call: their options, and what they do."""
