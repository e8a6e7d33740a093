# Shared by the bars beside it: peers freshly started, medians of three, the verdict.
# shellcheck shell=bash
#
# A bar sources this file, measures with the functions below, and ends with `verdict`. Its figures are also left as
# reports in $REPORTS, if that is set.

bars=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
perf=$(dirname "$bars")
root=$(dirname "$perf")
target="${CARGO_TARGET_DIR:-$root/target}/release"
export RONDEL="${RONDEL:-$target/rondel}" RONDEL_PERF="${RONDEL_PERF:-$target/rondel-perf}"
PASSWORD="${PASSWORD:-secret}"
export PASSWORD
# How often each figure is measured; the median counts.
ROUNDS="${ROUNDS:-3}"
# Shorter for trying out a bar, at the price of noise.
DURATION="${DURATION:-6s}" WARMUP="${WARMUP:-2s}"

if [ ! -x "$RONDEL_PERF" ]; then
    echo "$RONDEL_PERF is missing. Please type: make build" >&2
    exit 2
fi
# Many sessions on one machine: each end needs a descriptor, and no address may run out of ports.
ulimit -n "$(ulimit -Hn)"
sources=127.0.0.2-127.0.0.9

work=$(mktemp -d "${TMPDIR:-/tmp}/rondel-bar.XXXXXX")
running=()

finish() {
    local peer
    for peer in "${running[@]:-}"; do
        [ -n "$peer" ] && stop_peer "$peer"
    done
    rm -rf "$work"
}
trap finish EXIT

count=0
failed=0

# script_of PEER: prosody, prosody-generational, ejabberd, rondel, relay.
script_of() {
    case "$1" in
        prosody-generational) echo "$perf/peers/prosody.sh" ;;
        *) echo "$perf/peers/${1%%-shard*}.sh" ;;
    esac
}

# start_peer PEER ACCOUNTS [DATA]: sets port, tls_port, pid and instance. rondel-shards1 and rondel-shards2 are Rondel
# with that many shards. With DATA it has that data directory, which is moved.
start_peer() {
    local gc="" shards="${SHARDS:-}"
    [ "$1" = prosody-generational ] && gc=generational
    case "$1" in *-shards*) shards="${1##*-shards}" ;; esac
    count=$((count + 1))
    instance="$work/$count-$1"
    mkdir -p "$instance"
    [ -z "${3:-}" ] || mv "$3" "$instance/data"
    GC=$gc SHARDS=$shards "$(script_of "$1")" start "$instance" "$2" >"$work/peer" || exit 2
    running+=("$1:$instance")
    # shellcheck disable=SC1091
    . "$instance/peer"
}

# end_peer PEER: ends the peer of this instance; its data stays.
end_peer() {
    "$(script_of "$1")" stop "$instance"
}

# await_end: until the peer that was killed is gone, whether or not anybody has asked about it.
await_end() {
    local state
    for _ in $(seq 100); do
        state=$(sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat" 2>/dev/null) || return 0
        [ "$state" != Z ] || return 0
        sleep 0.05
    done
}

# settle: until the peer has nothing to do for a second, such as to compact what was written; for a minute at most.
settle() {
    local before after
    for _ in $(seq 60); do
        before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
        sleep 1
        after=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
        [ $((after - before)) -gt 3 ] || return 0
    done
}

# restart_peer PEER: starts the peer of this instance again, with the data that it has.
restart_peer() {
    "$(script_of "$1")" start "$instance" 0 >"$work/peer" || exit 2
    # shellcheck disable=SC1091
    . "$instance/peer"
}

# has_flag FLAG: whether the server knows it.
has_flag() {
    "$RONDEL" serve --help | grep -q -- "$1 "
}

# without_archive: Rondel keeps no archives from here on. For bars about delivery alone, beside figures from before
# there were archives, and beside peers that keep none.
without_archive() {
    if has_flag --archive; then
        export FLAGS="${FLAGS:-} --archive off"
    fi
}

# stop_peer PEER:INSTANCE
stop_peer() {
    "$(script_of "${1%%:*}")" stop "${1#*:}" || true
    local peer left=()
    for peer in "${running[@]}"; do
        [ "$peer" = "$1" ] || left+=("$peer")
    done
    running=("${left[@]:-}")
}

# measure PEER ACCOUNTS FIGURE SCENARIO FLAGS…: the figure's median, in `median`. Every round has a server of its own,
# freshly started: what one did before changes what it costs.
measure() {
    local peer=$1 accounts=$2 figure=$3 scenario=$4 round report reports=()
    shift 4
    for ((round = 0; round < ROUNDS; round++)); do
        start_peer "$peer" "$accounts"
        report="$work/report-$count.json"
        load "$peer" "$scenario" "$report" "$@"
        reports+=("$report")
        stop_peer "$peer:$instance"
    done
    median=$("$RONDEL_PERF" value "${reports[@]}" --figure "$figure" --exact)
    keep "$peer" "${reports[@]}"
}

# load PEER SCENARIO REPORT FLAGS…: one run against the peer that runs.
load() {
    local peer=$1 scenario=$2 report=$3 address="127.0.0.1:$port" raw=()
    shift 3
    case " $* " in *" --tls direct "*) address="127.0.0.1:$tls_port" ;; esac
    [ "${peer%%-shard*}" = relay ] && raw=(--raw)
    "$RONDEL_PERF" "$scenario" --server "$address" --server-pid "$pid" --label "$peer" --json "$report" \
        --source-addresses "$sources" "${raw[@]}" "$@" >"$work/output" 2>&1 || {
        echo "$(basename "$0"): $peer: $(tail -n 1 "$work/output")" >&2
        exit 2
    }
}

# chat PEER SESSIONS WINDOW FLAGS…: CPU microseconds per message of 300 bytes, in `median`.
chat() {
    local peer=$1 sessions=$2 window=$3
    shift 3
    measure "$peer" "$sessions" server_cpu_us_per_message chat --sessions "$sessions" --window "$window" --size 300 \
        --duration "$DURATION" --warmup "$WARMUP" "$@"
}

# keep PEER REPORT…: leaves the reports where $REPORTS says.
keep() {
    local peer=$1 report
    shift
    [ -n "${REPORTS:-}" ] || return 0
    mkdir -p "$REPORTS"
    for report in "$@"; do
        cp "$report" "$REPORTS/$(basename "$0")-$peer-$(basename "$report")"
    done
}

# resident: the peer's resident memory in KiB.
resident() {
    awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status"
}

# watched COMMAND…: runs a command of Rondel's; how long it took is in `took`, what it had in memory at most in `peak`,
# in MB.
watched() {
    local command name value most=0 since=$EPOCHREALTIME
    "$@" >"$work/output" 2>&1 &
    command=$!
    while [ -e "/proc/$command/status" ]; do
        while read -r name value _; do
            [ "$name" = VmHWM: ] && most=$value
        done <"/proc/$command/status"
        [ -n "$(jobs -rp %%)" ] || break
        sleep 0.05
    done 2>/dev/null
    wait "$command" || {
        echo "$(basename "$0"): $*: $(tail -n 1 "$work/output")" >&2
        exit 2
    }
    took=$(calc "$EPOCHREALTIME - $since")
    peak=$(calc "$most * 1.024 / 1000")
}

# populated DIRECTORY: makes a data directory with ACCOUNTS accounts and MESSAGES archived messages of each, or copies
# the one that an earlier bar has left in $POPULATED.
populated() {
    if [ -n "${POPULATED:-}" ] && [ -d "$POPULATED/data" ]; then
        cp -a "$POPULATED/data" "$1"
        return
    fi
    "$perf/population" "$ACCOUNTS" "$MESSAGES" >"$work/population.xml"
    watched "$RONDEL" import "$work/population.xml" --data-dir "$1"
    rm "$work/population.xml"
}

# figure REPORT NAME: one figure with all its digits.
figure() {
    "$RONDEL_PERF" value "$1" --figure "$2" --exact
}

# median_of FIGURE…: of an even number the lower of the two in the middle.
median_of() {
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# calc EXPRESSION: awk's arithmetic.
calc() {
    awk "BEGIN { printf \"%.4g\", $1 }"
}

# at_most WHAT FIGURE BAR UNIT: one line; remembers whether it holds.
at_most() {
    judge ">" "at most" "$@"
}

# at_least WHAT FIGURE BAR UNIT: the same, the other way round.
at_least() {
    judge "<" "at least" "$@"
}

# judge WRONG WORDS WHAT FIGURE BAR UNIT: it falls short if the comparison WRONG of figure and bar is true.
judge() {
    local word="holds"
    if awk "BEGIN { exit !($4 $1 $5) }"; then
        word="falls short"
        failed=1
    fi
    printf '%-62s %10s  %-18s %-5s %s\n' "$3" "$(calc "$4")" "$2 $(calc "$5")" "${6:-}" "$word"
}

# verdict: the exit code.
verdict() {
    exit "$failed"
}
