# Shared by the scripts beside it: free ports, a certificate, waiting until a server answers.
# shellcheck shell=bash

PASSWORD="${PASSWORD:-secret}"
# Where Debian keeps servers.
PATH="$PATH:/usr/sbin"

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# need COMMAND PACKAGE: installs the package as root with apt, otherwise prints the line to type.
need() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $2" >&2
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null 2>&1 ||
            fail "$2 could not be installed"
    else
        fail "$1 is missing. Please type: sudo apt-get install -y $2"
    fi
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port of loopback on which nobody listens.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        answers "$port" || { echo "$port"; return; }
    done
    fail "no free port was found"
}

# wait_for PORT LOG: until somebody listens there; the log is shown if nobody does.
wait_for() {
    for _ in $(seq 300); do
        answers "$1" && return
        sleep 0.1
    done
    tail -n 20 "$2" >&2 || true
    fail "nothing listens on port $1"
}

# certificate DIRECTORY: makes cert.pem and key.pem for localhost, ECDSA P-256 as Rondel's own.
certificate() {
    need openssl openssl
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout "$1/key.pem" -out "$1/cert.pem" 2>/dev/null ||
        fail "openssl made no certificate"
}

# told DIRECTORY PORT TLS_PORT PID: keeps and prints what whoever measures must know.
told() {
    printf 'port=%s\ntls_port=%s\npid=%s\n' "$2" "$3" "$4" | tee "$1/peer"
}

# runs PID: whether it does; one that has ended and that nobody has asked about yet does not.
runs() {
    local state
    state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || return 1
    [ "$state" != Z ]
}

# end_process PID: asks it to end, and sees to it.
end_process() {
    kill "$1" 2>/dev/null || return 0
    for _ in $(seq 200); do
        runs "$1" || return 0
        sleep 0.05
    done
    kill -9 "$1" 2>/dev/null || true
}

# More than that many sessions and the server itself has no use for.
ulimit -n "$(ulimit -Hn)"
