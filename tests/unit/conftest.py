"""What the unit tests share."""

from importlib.util import find_spec

# The pages are built with the newest Airflow alone: only its environment has Sphinx (`make docs`).
collect_ignore = [] if find_spec("sphinx") else ["test_docs_pages.py"]
