# What the scripts in test/suites share; they source this file.
#
# A suite is a script that prints TAP lines ("ok - name", "not ok - name", and
# "# ..." for what helps to find a failure).  test/run counts them.  It is given:
#   SHARD_STAGE   private copy of PostgreSQL with this build
#   SHARD_TEMP    a directory of its own, removed afterwards
#   TESTS         shell pattern: only tests whose name matches
set -uo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server=$top/test/tools/private-server.sh
bin=$("$server" bindir "$SHARD_STAGE")
pgxs_test=$(dirname "$(dirname "$("$bin/pg_config" --pgxs)")")/../src/test
: "${TESTS:=*}"

selected() { case $1 in $TESTS) return 0 ;; *) return 1 ;; esac; }

pass() { echo "ok - $*"; }
fail() { echo "not ok - $*"; }

# Lines of standard input as comments, at most so many.
comment() { head -n "${1:-200}" | sed 's/^/# /'; }

# start_server [setting=value ...]: sets PGHOST and PGUSER for clients.
start_server() {
    export PGHOST=$SHARD_TEMP/server PGUSER=postgres PGDATABASE=postgres
    PATH=$bin:$PATH
    "$server" init "$SHARD_STAGE" "$PGHOST/data" "$@" &&
        "$server" start "$SHARD_STAGE" "$PGHOST/data"
}

# What the server said since it started, if it is worth a look.
server_log() {
    grep -aE 'PANIC|FATAL|TRAP|was terminated by signal' "$PGHOST/data.log" | comment 40
}

# run_tap NAME COMMAND ...: a program that prints TAP.  Its checks are passed
# on; a bad exit status, a plan not met, or no check at all is a failure.
run_tap() {
    local name=$1 log=$SHARD_TEMP/tap.$BASHPID.log status; shift
    "$@" > "$log" 2>&1 < /dev/null
    status=$?
    sed -nE "s|^(not ok\|ok)( [0-9]+)?( - )?|\1 - $name: |p" "$log"
    if ! tap_complete "$log" "$status"; then
        fail "$name: exit status $status, or its plan was not met"
        grep -vE '^ok' "$log" | tail -n 60 | comment
        return 1
    elif grep -q '^not ok' "$log"; then
        grep -vE '^ok' "$log" | comment 100
        return 1
    fi
}

# Did a TAP program run to its end?
tap_complete() {
    local planned ran failed
    planned=$(sed -nE 's/^1\.\.([0-9]+).*/\1/p' "$1" | head -n 1)
    ran=$(grep -cE '^(not )?ok\b' "$1")
    failed=$(grep -cE '^not ok\b' "$1")
    ! grep -q '^Bail out!' "$1" && [ "$ran" -gt 0 ] && [ "${planned:-$ran}" = "$ran" ] &&
        { [ "$2" = 0 ] || [ "$failed" -gt 0 ]; }
}

# Copy directories of test/ to where the server's user may read and write.
copy_for_server_user() {
    local to=$1 dir; shift
    mkdir -p "$to/ports"
    for dir in "$@"; do cp -r "$top/test/$dir/." "$to/"; done
    [ "$(id -u)" != 0 ] || chown -R postgres "$to"
    chmod -R a+rX "$to"
}

# Run a Perl test that makes servers of its own (PostgreSQL::Test::Cluster);
# these start them as the user who runs the test, who must not be root.
run_perl_test() {
    local name=$1 dir=$2 file=$3
    run_tap "$name" "$server" run "$SHARD_STAGE" env -C "$dir" \
        TESTDIR="$dir" PG_REGRESS="$pgxs_test/regress/pg_regress" PG_TEST_PORT_DIR="$dir/ports" \
        PERL5LIB="$dir/lib:$pgxs_test/perl" SHARD_DEPS="$SHARD_DEPS" SHARD_STORE="${SHARD_STORE:-}" TMPDIR=/tmp \
        perl "$dir/$file" && return
    # What PostgreSQL's modules say goes to a log of their own.
    echo "# the end of $name's log:"
    tail -n 25 "$dir/tmp_check/log/regress_log_$(basename "$file" .pl)" | cut -c1-600 | comment
    for log in "$dir/tmp_check/log/$(basename "$file" .pl)"_*.log; do
        [ -f "$log" ] || continue
        echo "# errors in $(basename "$log"):"
        grep -aE 'PANIC|FATAL|ERROR|WARNING|TRAP|terminated by signal' "$log" | tail -n 25 | cut -c1-400 | comment
    done
}
