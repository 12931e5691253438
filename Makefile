# `make demo` and `make test` set up all that they need, on a machine with Python 3.11 to 3.14, git and make.
# Paths are relative throughout: make cannot hold a folder's name with a space in it.

DATA ?= .demo
# A worker takes whole files, in the order of the folders: those that start services first, the quick ones last.
# Four for two cores: half of the time a worker waits, for a service that starts or for PostgreSQL.
PYTEST_ARGS ?= -n 4 --dist loadfile --no-loadscope-reorder -rfEs

.PHONY: demo test test-pythons citus lint schema console screenshots bench soak-feed soak-console

demo: .venv/installed
	.venv/bin/python -m service serve --demo --data "$(DATA)"

test: .venv/installed-for-tests lint
	sh .ci/postgresql
	sh .ci/chromium
	sh .ci/mariadb
	sh .ci/tools
	sh .ci/pytest $(PYTEST_ARGS)

# The same tests on every Python from 3.11 to 3.14 that is here; PYTHONS names programs instead.
test-pythons: .venv/installed-for-tests
	sh .ci/postgresql
	sh .ci/chromium
	sh .ci/mariadb
	sh .ci/tools
	PYTEST_ARGS="$(PYTEST_ARGS)" PYTHONS="$(PYTHONS)" sh .ci/test-pythons

# The integration tests on a Citus cluster of a coordinator and two workers, which is made for them. CITUS_TESTS names
# some of them; CALLEDGER_TEST_CITUS_URL a cluster that runs elsewhere, by addresses of a superuser, the coordinator first.
CITUS_TESTS ?= tests/integration
citus: .venv/installed-for-tests
	[ -n "$(CALLEDGER_TEST_CITUS_URL)" ] || sh .ci/citus
	.venv/bin/python -m pytest --citus -rfE $(CITUS_TESTS)

# Left to itself, pyright asks npm for a newer one, and reads a pyrightconfig.json of the folders above.
lint: .venv/installed-for-tests
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/lint-imports
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 .venv/bin/python -m pyright --project pyproject.toml

# The contract that frontends and partners build on; a test compares it with the code.
schema: .venv/installed
	.venv/bin/python -m service.api.schema > schema.graphql.new && mv schema.graphql.new schema.graphql

# The console's assets, from service/console/app; to be committed. A test compares them with what they are built of.
console: .venv/installed-for-tests
	.venv/bin/python .ci/console

# Pictures of the console for the README, of the demo's data, into docs/images.
screenshots: .venv/installed-for-tests
	sh .ci/chromium
	.venv/bin/python tests/screenshots.py

# Service and database killed under load for SOAK_S seconds, with a consumer that goes on; nothing may be missed or doubled.
SOAK_S ?= 3600
soak-feed: .venv/installed-for-tests
	CALLEDGER_TEST_SOAK_S=$(SOAK_S) .venv/bin/python -m pytest tests/integration/feed/test_changes_killed.py -s -o timeout=0

# How the console's heap grows while a page listens to new calls for SOAK_S seconds; an hour has to stay under 20 MB.
soak-console: .venv/installed-for-tests
	sh .ci/chromium
	CALLEDGER_TEST_SOAK_S=$(SOAK_S) .venv/bin/python tests/tail_soak.py

bench: .venv/installed-for-tests
	.venv/bin/python -m benchmarks $(BENCH)

.venv/installed: pyproject.toml .ci/venv
	sh .ci/venv
	.venv/bin/python -m pip install --quiet --editable .
	.venv/bin/python -m compileall -q service policies migrations
	touch $@

# Dependency groups came with pip 25.1, which is newer than most systems' own.
.venv/installed-for-tests: .venv/installed
	.venv/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv/bin/python -m pip install --quiet --group test
	touch $@
