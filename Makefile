# The front door for developers. Everything here runs as root and as an ordinary user; what cannot run
# on this machine says so loudly, and fails where CI is set.

BIN := .venv/bin
SHELL := bash
.DEFAULT_GOAL := test
.PHONY: setup test lint unit kernel golden soak mutants matrix demo bench clean

# A virtual environment with the compiler and what its tests need, and the system's half (nft,
# libnftables, conntrack, ip) where root may install it. Runs again when pyproject.toml changes.
setup: .venv/ready
.venv/ready: pyproject.toml scripts/setup
	@scripts/setup

# All that CI asks for.
test: lint unit kernel

# Style and types.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Whatever needs no kernel: unit tests, doctests, golden cases.
unit: setup
	$(BIN)/pytest --ignore=tests/kernel -n auto

# Rulesets in a real kernel and packets through it, in namespaces that vanish with the tests.
kernel: setup
	@scripts/in-namespaces $(BIN)/pytest tests/kernel -rs

# Write the expected files of the golden cases anew; reading `git diff tests/golden` is the review.
golden: setup
	$(BIN)/pytest tests --ignore=tests/kernel -k golden --update-golden

# Other examples than `make test` has, for about SOAK minutes: half of them random sites against the kernel,
# half fuzzing; what fails says the seed, and `make soak SEED=...` looks at the same again.
soak: setup
	@scripts/soak "$(or $(SOAK),10)" "$(SEED)"

# Break the compiler in one place after the other, and see which tests notice; for MUTANTS minutes at most.
mutants: setup
	@PYTHONPATH=tests $(BIN)/python -m mutation.run --minutes $(or $(MUTANTS),60)

# Real packets from a few subscribers through a gateway, beside what `nfcompile lookup` foretells.
demo: setup
	@scripts/in-namespaces $(BIN)/python scripts/demo.py

# How long things take, as ratios, and docs/performance drawn anew: about 20 minutes. Some of it, without the
# drawing: make bench BENCH="startup scale".
bench: setup
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || $(BIN)/python -m pip install --quiet \
	    --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python bench/run.py $(BENCH)

# Rulesets and packets on stock Debian kernels (in qemu) and with other versions of nft; docs/matrix.md.
matrix: setup
	$(BIN)/python scripts/matrix/run.py $(MATRIX)

# Back to what git has.
clean:
	rm -rf .venv .matrix dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
