# One cargo profile for everything, because RocksDB takes long to compile.
CARGO = cargo
DATA ?= ./data

.PHONY: run test build setup fmt lint docs bars compare

# What was just built, since cargo run would build once more, with the features of one package alone. All clients come
# from this machine, the load tool among them: limits per address and per session would be in their way.
run: build
	$${CARGO_TARGET_DIR:-target}/release/rondel serve --dev --data-dir $(DATA) --max-connections-per-address 20000 \
		--connection-rate 10000/s --login-rate 1000/s --limit-c2s none --limit-stanzas none --limit-strangers none

build: setup
	$(CARGO) build --release --workspace

test:
	@.ci/setup tests
	$(CARGO) test --release --workspace

setup:
	@.ci/setup

fmt:
	$(CARGO) fmt --all

lint: setup
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings

# Writes docs/flags.md from the program's own table.
docs: setup
	RONDEL_WRITE_DOCS=1 $(CARGO) test --release --workspace --lib cli::reference

bars: build
	perf/bars/run-all

compare: build
	perf/compare.sh
