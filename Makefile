# The front door for developers. Everything here runs as root and as an ordinary user; what cannot run
# on this machine says so loudly, and fails where CI is set.

VENV := .venv
CONSTRAINTS := constraints.txt
BIN := $(VENV)/bin
KERNEL := tests/kernel
SHELL := bash
.DEFAULT_GOAL := test
.PHONY: setup test test-lowest test-latest lint unit kernel editor browser golden errors docs lock bare busy packages monitoring logs soak kills fuzz ha ansible attack import mutants matrix demo bench clean

# A virtual environment with the compiler and what its tests need, in the versions of constraints.txt, and the system's
# half (nft, libnftables, conntrack, ip) where root may install it. Runs again when its prerequisites change.
setup: $(VENV)/ready
$(VENV)/ready: pyproject.toml scripts/setup $(CONSTRAINTS)
	@scripts/setup $(VENV) "$(CONSTRAINTS)"

# Of that, what nfcompile itself and its demo need.
$(VENV)/usable: pyproject.toml scripts/setup $(CONSTRAINTS)
	@scripts/setup $(VENV) "$(CONSTRAINTS)" use

# What an engineer asks before a commit; CI asks for test-lowest too.
test: lint unit kernel

# The unit half, and of the kernel half what goes through pyroute2 and the binding of libnftables, with the lowest version
# of each dependency that pyproject.toml allows, in an environment of its own.
test-lowest:
	@$(MAKE) --no-print-directory VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt \
	    KERNEL=tests/kernel/test_sessions.py unit kernel

# All tests with the newest version of everything: what the next `make lock UPGRADE=--upgrade` would bring.
test-latest:
	rm -rf .venv-latest
	@$(MAKE) --no-print-directory --keep-going VENV=.venv-latest CONSTRAINTS= test

# Style and types.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Whatever needs no kernel: unit tests, doctests, golden cases.
unit: setup
	$(BIN)/pytest --ignore=tests/kernel --ignore=tests/editor --ignore=tests/browser -n auto

# Rulesets in a real kernel and packets through it, in namespaces that vanish with the tests; some of it with
# KERNEL=tests/kernel/test_policy.py.
kernel: setup
	@scripts/kernel-tests $(BIN) $(KERNEL) -rs

# What an editor shows of a site, asked of the real YAML language server; the first time it is fetched (npm).
editor: setup
	@scripts/language_server
	$(BIN)/pytest tests/editor

# The pages of diff and plan and the picture of graph in a real Chromium, which root installs (Debian's, 300 MB).
browser: setup
	@command -v chromedriver >/dev/null || scripts/chromium
	$(BIN)/pytest tests/browser

# Regenerate the expected files of the golden cases; reading `git diff tests/golden` is the review.
golden: setup
	$(BIN)/pytest tests --ignore=tests/kernel --ignore=tests/editor --ignore=tests/browser -k golden --update-golden

# Pages that are made of the code: the sections of the checks in docs/errors.md, docs/cli.md and docs/metrics.md.
errors: setup
	$(BIN)/python scripts/errors_page.py
	$(BIN)/python scripts/cli_page.py
	$(BIN)/python scripts/metrics_page.py

# The documentation as a site in .docs/site; a link that leads nowhere is an error.
docs:
	@scripts/docs_site

# Write constraints.txt and constraints-lowest.txt anew after a change of pyproject.toml; with UPGRADE=--upgrade to the
# newest versions.
lock:
	@scripts/lock $(UPGRADE)

# All tests RUNS times, with other work on every processor: no test may depend on the machine's speed.
busy: setup
	@scripts/busy $(or $(RUNS),5)

# Other examples than `make test` has, for about SOAK minutes: half of them random sites against the kernel,
# half fuzzing, and kills; what fails says the seed, and `make soak SEED=...` looks at the same again.
soak: setup
	@scripts/soak "$(or $(SOAK),10)" "$(SEED)"

# What a release offers, in dist/: wheel, sdist, a .deb for Debian 12 and 13, a .pyz; as root each .deb is installed in a bare
# root and used there, and the container file is followed.
packages: setup
	@$(BIN)/python -c 'import shiv' 2>/dev/null || $(BIN)/python -m pip install --quiet \
	    --disable-pip-version-check shiv==1.0.8
	$(BIN)/python scripts/packages.py
	@if [ "$$(id -u)" = 0 ]; then scripts/try-packages && scripts/try-container; else echo "*** not installed anywhere: that needs root"; fi

# What monitoring/ offers, by Prometheus' own promtool: the exporter's metrics, the rules, and where each alert fires; and a
# real Prometheus that scrapes exporters and fires each of them.
monitoring: setup
	@scripts/monitoring $(BIN)

# `nfcompile log` beside ulogd2 (CPU of a record), a burst of 30,000 connections in PostgreSQL by both, and its IPFIX read by
# nfdump's nfcapd and pmacct's nfacctd. `make logs LOGS=report`: a legal request to a log of 30 days and a million subscribers.
logs: setup
	@scripts/in-namespaces $(BIN)/python bench/$(if $(LOGS),log_report,logs).py

# Kill apply, trial, confirm, rollback and timer at random moments: KILLS times, some 1.2 s of CPU each.
kills: setup
	@scripts/in-namespaces $(BIN)/python scripts/kills.py --kills "$(or $(KILLS),300)" $(if $(SEED),--seed "$(SEED)")

# Failovers of a pair with real keepalived and conntrackd, as a table beside what they should be: about five minutes.
# Some of it: make ha HA="power 100k".
ha: setup
	@scripts/in-namespaces $(BIN)/python scripts/ha.py $(HA)

# The Ansible collection: ansible-lint, ansible-test sanity, and rollouts to gateways in namespaces; minutes. Some of it:
# make ansible ANSIBLE=rollouts.
ansible: setup
	@scripts/ansible $(BIN) $(ANSIBLE)

# Attack gateways with FRAMES raw frames from both sides, and with the directed attacks: what leaks is a failure.
attack: setup
	@NFCOMPILE_ATTACK_FRAMES="$(or $(FRAMES),60000)" NFCOMPILE_RANDOM_SEED="$(SEED)" scripts/in-namespaces \
	    $(BIN)/pytest -rP tests/kernel/test_attack.py tests/kernel/test_packets_forged.py \
	    tests/kernel/test_full_sets.py tests/kernel/test_idle.py

# Random sites and command lines for every verb, INPUTS of them; then SITES random sites loaded and proved.
fuzz: setup
	@scripts/in-namespaces $(BIN)/python scripts/fuzz.py --inputs "$(or $(INPUTS),200000)" --seed "$(or $(SEED),1)"
	@scripts/in-namespaces $(BIN)/python scripts/prove_random.py --sites "$(or $(SITES),3000)" --seed "$(or $(SEED),1)"

# How well `import` does on a directory of real files, CORPUS: a table of each kind, packets through each original and its
# import in one kernel, and for FUZZ seconds (60) what hostile inputs do that are made of them.
import: setup
	@test -n "$(CORPUS)" || { echo "say CORPUS=DIR: a directory of foreign configurations" >&2; exit 2; }
	$(BIN)/python scripts/import_table.py "$(CORPUS)" --verify
	@scripts/in-namespaces $(BIN)/python scripts/import_packets.py "$(CORPUS)"
	$(BIN)/python scripts/import_fuzz.py "$(CORPUS)" --seconds "$(or $(FUZZ),60)" --inputs 1000000 --seed "$(or $(SEED),1)"

# Break the compiler in one place after the other, and see which tests notice; for MUTANTS minutes at most.
mutants: setup
	@PYTHONPATH=tests $(BIN)/python -m mutation.run --minutes $(or $(MUTANTS),60)

# Real packets from a few subscribers through a gateway, beside what `nfcompile lookup` foretells.
demo: $(VENV)/usable
	@scripts/in-namespaces $(BIN)/python scripts/demo.py

# How long things take, as ratios, and docs/performance drawn anew: about 20 minutes. Some of it, without the
# drawing: make bench BENCH="startup scale".
bench: setup
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || $(BIN)/python -m pip install --quiet \
	    --disable-pip-version-check --constraint constraints.txt matplotlib
	$(BIN)/python bench/run.py $(BENCH)

# A fresh clone in a bare Debian, as root and as an ordinary user: whether `make test` needs anything that is not said.
# BARE="--suite trixie --as user lint unit" asks less, or elsewhere.
bare:
	@scripts/bare $(BARE)

# Rulesets and packets on stock Debian kernels (in qemu) and with other versions of nft; docs/matrix.md.
matrix: setup
	$(BIN)/python scripts/matrix/run.py $(MATRIX)

# Back to what git has.
clean:
	rm -rf .venv .venv-* .matrix .bare .monitoring .docs .editor dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
