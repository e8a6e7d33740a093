#!/usr/bin/env bash
# Fuzzes the framer and the firewall for so many seconds altogether: long enough to find what is broken outright.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
cache="${RONDEL_CACHE:-$HOME/.cache/rondel}"
export CARGO_TARGET_DIR="$cache/fuzz"
if ! command -v cargo-fuzz >/dev/null && [ ! -x "$cache/bin/cargo-fuzz" ]; then
    CARGO_TARGET_DIR="$cache/tools" cargo install --quiet --locked --root "$cache" cargo-fuzz
fi
export PATH="$cache/bin:$PATH"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
targets=(framer_chunks framer_differential firewall_scripts firewall_runs)
for target in "${targets[@]}"; do
    seeds=fuzz/seeds dictionary=fuzz/xml.dict
    case "$target" in firewall_*) seeds=fuzz/seeds_firewall dictionary=fuzz/pfw.dict ;; esac
    mkdir -p "fuzz/corpus/$target"
    # No sanitizer: there is no unsafe code in what is fuzzed, and so the stable toolchain will do.
    if ! cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "$seeds" -- -dict="$dictionary" \
        -max_total_time="$((seconds / ${#targets[@]}))" -max_len=4096 -timeout=10 \
        -print_final_stats=1 >"$log" 2>&1; then
        tail -40 "$log" >&2
        echo "$target: found a fault" >&2
        exit 1
    fi
    echo "$target: $(grep number_of_executed_units "$log" | tr -dc '0-9') inputs, no fault"
done
