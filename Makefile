# Needs Python >= 3.11, git and make. Every target makes what it needs in .venv first; uv is used where it is found.
# PYTHON=/path/to/python chooses the interpreter for a new .venv.

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
STAMP := .venv/.installed
INSTALLED_FROM := pyproject.toml tools/make-venv.sh tools/build-requirements.txt
# The lines of Airflow other than the one in .venv, by what test-full does with them.
NEWEST := $(shell sed -n 's/^apache-airflow==//p' constraints.txt)
line-of = $(filter-out $(NEWEST),$(shell sed -n 's/^\([0-9][^ ]*\) .* $(1)$$/\1/p' tools/airflow-lines.txt))
LINES_demo := $(call line-of,demo)
LINES_tests := $(call line-of,tests)
OTHER_LINES := $(LINES_demo) $(LINES_tests)
ONE_LINE_demo := $(LINES_demo:%=test-airflow-%)
ONE_LINE_tests := $(LINES_tests:%=test-airflow-%)
# One more than most machines of a forge have cores: for half of a run, one worker mostly waits for real Airflow processes.
WORKERS := 3

# The long runs get PostgreSQL where it is installed: over SQLite, Airflow's api-server stalls on a busy machine.
DATABASE := $(if $(shell command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null),--postgresql)

# What a line runs; $(1): the lines.
run-demo = set -e; for line in $(1); do \
  .venv-airflow-$$line/bin/python -m pytest tests/unit/test_rings.py; \
  .venv-airflow-$$line/bin/python -m airflow_cbr.cli demo; \
done
run-tests = set -e; for line in $(1); do .venv-airflow-$$line/bin/python -m pytest -n $(WORKERS) --dist loadgroup $(DATABASE); done

VAULTS := 200
# One night after another: each has the machine for itself.
run-celery = .venv-celery/bin/python -m pytest tests/system/celery --vaults $(VAULTS)

# CHART=airflow-1.22.0.tgz, for example: the official Helm chart is rendered too, by the helm on PATH.
run-kubernetes = .venv-kubernetes/bin/python -m pytest tests/system/kubernetes $(if $(CHART),--chart $(CHART))

.PHONY: demo stack-celery test chromium test-unit test-full test-celery test-kubernetes $(ONE_LINE_demo) $(ONE_LINE_tests) lint docs pictures bench mutants schema constraints constraints-check clean

demo: $(STAMP)
	$(PY) -m airflow_cbr.cli demo

# Airflow with two Celery workers, PostgreSQL and Redis, until Ctrl-C; PORT=8080 chooses the port of the web page.
stack-celery: .venv-celery/.installed
	@.venv-celery/bin/python -m tests.support.explore_celery

# What a contributor runs all the time: no services, no browser and no campaigns.
test-unit: $(STAMP)
	$(PYTEST) -n $(WORKERS) --dist loadgroup --hypothesis-profile quick -m "not full and not campaign and not browser" tests/unit

test: $(STAMP) chromium
	$(PYTEST) -n $(WORKERS) --dist loadgroup -m "not full"

# What looks at pages needs a browser.
chromium:
	@sh tools/chromium.sh

# The newest Airflow with everything, then the other lines, each with the packages of the day of its release.
test-full: $(STAMP) chromium $(OTHER_LINES:%=.venv-airflow-%/.installed) .venv-celery/.installed .venv-kubernetes/.installed
	$(PYTEST) -n $(WORKERS) --dist loadgroup $(DATABASE)
	$(call run-demo,$(LINES_demo))
	$(call run-tests,$(LINES_tests))
	$(call run-kubernetes)
	$(call run-celery)

# The nights on Celery workers by themselves; VAULTS=20 makes them small.
test-celery: .venv-celery/.installed
	$(call run-celery)

# What a deployment in Kubernetes, and the compose file, are made of, rendered and validated without a cluster.
test-kubernetes: .venv-kubernetes/.installed
	$(call run-kubernetes)

# One of the other lines by itself, for example test-airflow-3.2.2.
$(ONE_LINE_demo): test-airflow-%: .venv-airflow-%/.installed
	$(call run-demo,$*)

$(ONE_LINE_tests): test-airflow-%: .venv-airflow-%/.installed
	$(call run-tests,$*)

# Shows that the package resolves under Airflow's own constraints, on each line.
constraints-check:
	sh tools/constraints-check.sh

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: $(STAMP)
	$(PY) -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "The pages are in $(CURDIR)/build/docs/index.html"

# Draws the pictures of the pages anew, after what tasks say has changed.
pictures: $(STAMP) chromium
	$(PY) tools/pictures.py
	$(PY) tools/screenshots.py

bench: $(STAMP)
	@missed=; for file in tests/benchmarks/bench_*.py; do \
	  $(PY) -m "tests.benchmarks.$$(basename "$$file" .py)" || missed="$$missed $$file"; \
	done; if [ -n "$$missed" ]; then echo "Targets missed in:$$missed" >&2; exit 1; fi

# MUTANTS='airflow_cbr.once.*' chooses some. What was found is kept in mutants/, and only what has changed is run again.
mutants: .venv-mutants/.installed
	.venv-mutants/bin/python tools/mutants.py run $(foreach pattern,$(MUTANTS),'$(pattern)')
	.venv-mutants/bin/python tools/mutants.py results
	.venv-mutants/bin/python tools/mutants.py table

# Writes the published schemas of the verification report and of evidence anew, after their types have changed.
schema: $(STAMP)
	$(PY) tools/report_schema.py

$(STAMP): $(INSTALLED_FROM) constraints.txt
	sh tools/make-venv.sh .venv test,docs -c constraints.txt

.venv-mutants/.installed: $(INSTALLED_FROM) constraints.txt
	sh tools/make-venv.sh .venv-mutants test,mutants -c constraints.txt

.venv-celery/.installed: $(INSTALLED_FROM) constraints.txt
	sh tools/make-venv.sh .venv-celery test,celery -c constraints.txt

.venv-kubernetes/.installed: $(INSTALLED_FROM) constraints.txt
	sh tools/make-venv.sh .venv-kubernetes test,celery,kubernetes -c constraints.txt

.venv-airflow-%/.installed: $(INSTALLED_FROM) tools/airflow-lines.txt tools/make-line-venv.sh
	sh tools/make-line-venv.sh $*

# Renews the pins from what the index offers today.
constraints:
	"$$(sh tools/find-uv.sh)" pip compile --quiet --universal --upgrade --strip-extras --no-annotate --no-header --no-emit-package airflow-cbr \
	  --python-version 3.11 --extra test --extra docs --extra celery --extra kubernetes pyproject.toml tools/build-requirements.txt -o constraints.txt

clean:
	rm -rf .venv .venv-* build dist mutants .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
