# What a newcomer, a developer and the CI do, each in one word:
#
#   make run     a complete server in the foreground, on 127.0.0.1 (rialto dev)
#   make test    every test that fits into a coffee break: crates, faults, real clients
#   make build   target/release/rialto
#   make lint    formatting, clippy, the tree's own rules (cargo xtask tidy)
#   make bench   the benchmarks; `make bench-peer` installs what they compare with
#   make full    the long tiers: new seeds, more of them, more faults, fuzzing
#   make test-fdb  store and services over a real FoundationDB, where one is installed
#
# Needs Rust from https://rustup.rs and nothing else that it cannot install itself. Each step says
# what it does; the first one that fails ends the run.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# rustup puts cargo here; a shell that was open before does not know it yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# One profile for the binary and for all tests, so that dependencies are compiled once.
CARGO ?= cargo
PROFILE := --release
RIALTO := target/release/rialto

# Arguments for `make run` and `make bench`: make run ARGS="--ports 20000 --mailboxes 100"
ARGS ?=

# The long tiers. How many seeds a seeded test runs, and how long each fuzz target.
SEEDS ?= 200
FUZZ_SECONDS ?= 60

.PHONY: help run build test lint bench bench-peer full
.PHONY: toolchain packages optional-packages web build-tests test-crates test-stores interop-cases test-fdb test-interop full-crates full-fuzz

help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

# ---- running -------------------------------------------------------------------------------

run: build
	@printf '\n==> %s\n' 'Starting the server; Ctrl-C ends it'
	@exec ./$(RIALTO) dev $(ARGS)

build: toolchain web
	@printf '\n==> %s\n' 'Building $(RIALTO) (the first time takes some minutes)'
	$(CARGO) build $(PROFILE) -p rialto -p fdb-standin

# Pages to embed exist once there is a web/ folder.
web:
	@if [[ -f web/package.json ]]; then \
		printf '\n==> Building the web pages\n'; \
		command -v npm >/dev/null || bash .ci/apt npm; \
		cd web && npm ci --no-audit --no-fund && npm run build; \
	fi

# ---- checking ------------------------------------------------------------------------------

lint: toolchain
	@printf '\n==> %s\n' 'Formatting'
	$(CARGO) fmt --all --check
	@printf '\n==> %s\n' 'Clippy'
	$(CARGO) clippy $(PROFILE) --workspace --all-targets -- -D warnings
	@printf '\n==> %s\n' 'The tree itself: layers, sizes, citations'
	$(CARGO) xtask tidy
	@printf '\n==> %s\n' 'Dependencies: licences, bans, sources'
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --log-level error check --hide-inclusion-graph -A duplicate licenses bans sources; \
	else \
		echo 'skipped: needs `cargo install --locked cargo-deny`'; \
	fi

test: toolchain web packages build-tests test-crates interop-cases
	@printf '\n==> All tests passed\n'

# The programs, too: with the features that the tests select, which are not quite those of `make
# build`, so that nothing is compiled twice.
build-tests: toolchain
	@printf '\n==> %s\n' 'Building the programs and their tests'
	$(CARGO) build $(PROFILE) --workspace --lib --bins --tests --examples

# Every crate's tests, and those of chaos-tests: real processes, faults, an oracle, a short round
# of each scenario. They find the binary that was built beside them; the mutants they build themselves. Seeds
# are fixed (docs/testing.md): a change must not land, or be refused, by luck.
test-crates: export PROPTEST_RNG_SEED ?= 1
test-crates: toolchain
	@printf '\n==> %s\n' 'Tests of all crates; the last ones start, kill and restart real servers'
	$(CARGO) test $(PROFILE) --workspace
	@$(MAKE) --no-print-directory test-stores

# The services once more over the other stores; FoundationDB on its stand-in. Nothing is built.
test-stores: export PROPTEST_RNG_SEED ?= 1
test-stores: toolchain
	@printf '\n==> %s\n' 'The services over the embedded store and over FoundationDB (the stand-in)'
	CARGO='$(CARGO)' crates/store/testing/services.sh embedded $(PROFILE)
	CARGO='$(CARGO)' crates/store/testing/services.sh foundationdb $(PROFILE)

# The real FoundationDB: the store's own tests with the vectors, and the services over it. Every
# test has keys of its own, below `test/`, and removes them.
test-fdb: toolchain
	@printf '\n==> %s\n' 'FoundationDB itself: the installed client and the cluster of the cluster file'
	$(CARGO) run --quiet $(PROFILE) -p store-testing --example cluster_answers
	RIALTO_FDB_REAL=1 RIALTO_TEST_STORE=foundationdb $(CARGO) test $(PROFILE) \
		-p store-foundationdb -p store-testing \
		-p service-directory -p service-mailbox -p service-transport

# Clients from the distribution against a running server.
test-interop: build packages interop-cases

interop-cases:
	@if [[ -f interop/run.sh ]]; then \
		printf '\n==> Real clients\n'; \
		RIALTO_BIN="$$PWD/$(RIALTO)" sh interop/run.sh; \
	fi

bench: toolchain
	@printf '\n==> %s\n' 'Benchmarks (RIALTO_BENCH_SCALE=full for the full sizes)'
	@ulimit -n "$$(ulimit -Hn)"; $(CARGO) bench --bench figures -- $(ARGS)

# Postfix and Dovecot from Debian; `make bench` takes them along where they are installed.
bench-peer:
	@printf '\n==> %s\n' 'The peer of the benchmarks'
	@bash benches/peer/install.sh

# ---- the long tiers ------------------------------------------------------------------------

full: build packages optional-packages full-crates test-interop full-fuzz
	@printf '\n==> All tiers passed\n'

full-crates: export RIALTO_SEED ?= random
full-crates: toolchain
	@printf '\n==> %s\n' 'All tests, $(SEEDS) seeds for seeded ones, long rounds of every fault'
	RIALTO_TIER=full RIALTO_SEEDS=$(SEEDS) $(CARGO) test $(PROFILE) --workspace

# The fuzz targets are no members of the workspace: they need cargo-fuzz and a sanitiser.
full-fuzz: toolchain
	@printf '\n==> Fuzzing, $(FUZZ_SECONDS) s for each target\n'
	@if cargo fuzz --version >/dev/null 2>&1; then \
		sh fuzz/run.sh $(FUZZ_SECONDS); \
	else \
		echo 'skipped: needs `cargo install --locked cargo-fuzz`'; \
	fi

# ---- set-up --------------------------------------------------------------------------------

# A compiler of Rust that is new enough, and the C compiler that links and builds aws-lc.
toolchain:
	@if ! command -v $(CARGO) >/dev/null; then \
		echo 'Rust is missing. Install it from https://rustup.rs and try again.' >&2; exit 1; \
	fi
	@wanted=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	found=$$(rustc --version | cut -d' ' -f2 | cut -d- -f1); \
	if [[ "$$(printf '%s\n' "$$wanted" "$$found" | sort -V | head -n1)" != "$$wanted" ]]; then \
		echo "Rust $$wanted or newer is needed, this is $$found: run \`rustup update stable\`." >&2; \
		exit 1; \
	fi; \
	if ! command -v cc >/dev/null; then \
		printf '\n==> Installing a C compiler\n'; bash .ci/apt build-essential; \
	fi

# The Debian packages that tests use: strace shows syncs, the others are mail clients.
packages:
	@printf '\n==> %s\n' 'Debian packages for the tests'
	@bash .ci/apt strace
	@if [[ -f interop/install.sh ]]; then sh interop/install.sh; fi

# What the long tiers of the chaos tests can use: a front door, clocks that are wrong. Without them
# those stories are skipped, with a line that says so.
optional-packages:
	@printf '\n==> %s\n' 'Debian packages for the long tiers'
	@bash .ci/apt haproxy faketime || printf '%s\n' 'some are missing: their tests will be skipped'
