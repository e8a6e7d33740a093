# One cargo profile for everything, because RocksDB takes long to compile.
CARGO = cargo
DATA ?= ./data

.PHONY: run test build setup fmt lint docs bars compare

run: build
	$(CARGO) run --release --quiet -- serve --dev --data-dir $(DATA)

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
