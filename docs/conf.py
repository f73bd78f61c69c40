"""How Sphinx builds these pages: ``make docs``, into build/docs."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "docs/_extensions")]

# The reference imports Airflow, which makes itself at home in AIRFLOW_HOME, and takes its settings from the environment.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-cbr-docs-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from airflow_cbr import __version__  # noqa: E402

project = "airflow-cbr"
copyright = "the airflow-cbr authors"
release = version = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "wide_and_narrow"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
root_doc = "index"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "furo"
html_title = f"airflow-cbr {version}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
