#!/bin/bash
# A private copy of PostgreSQL with this build installed into it, and servers
# on it: nothing outside a temporary directory is touched.
#
#   private-server.sh stage DIR            copy the server's programs to DIR and install this build there
#   private-server.sh init DIR DATA [k=v]  make a cluster in DATA, with settings
#   private-server.sh start DIR DATA       start it; its socket is in DATA's parent
#   private-server.sh stop DIR DATA [MODE] stop it (immediate)
#   private-server.sh run DIR COMMAND ...  run a command as the server's user, programs of DIR first on PATH
#   private-server.sh bindir DIR           where the copied programs are
#   private-server.sh cleanup TOP          stop every server whose data is below TOP, and remove TOP
#
# The server listens on a Unix socket only: PGHOST is DATA's parent directory.
# As root, PostgreSQL runs as the user "postgres".  Any number of copies can be
# used at the same time; every path given must be absolute.
set -euo pipefail

: "${PG_CONFIG:=/usr/lib/postgresql/15/bin/pg_config}"
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Run a command as the user that servers run as, in a directory that this user
# may enter.
as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups \
            env HOME=/tmp bash -c 'cd "$PWD" 2>/dev/null || cd /; exec "$@"' bash "$@"
    else
        "$@"
    fi
}

stage() {
    local dir=$1 path
    mkdir -p "$dir"
    for path in "$(dirname "$("$PG_CONFIG" --bindir)")" "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)"; do
        mkdir -p "$dir$path"
        cp -a "$path/." "$dir$path/"
    done
    make -s -C "$top" -j"$(nproc)" all
    make -s -C "$top" install DESTDIR="$dir" >/dev/null
    chmod -R a+rX "$dir"
}

bindir() { echo "$1$("$PG_CONFIG" --bindir)"; }

init() {
    local dir=$1 data=$2 setting; shift 2
    mkdir -p "$(dirname "$data")"
    [ "$(id -u)" != 0 ] || chown postgres "$(dirname "$data")"
    as_server_user "$(bindir "$dir")/initdb" -D "$data" -U postgres -A trust -N --no-instructions \
        --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$(dirname "$data")'"
        echo "fsync = on"
        echo "shared_preload_libraries = 'shard'"
        echo "wal_level = logical"
        echo "max_worker_processes = 24"
        echo "max_locks_per_transaction = 256"
        echo "log_min_messages = warning"
        echo "log_line_prefix = '%m [%p] %b %q%d '"
        if as_server_user "$(bindir "$dir")/postgres" -C output_plugin_libraries -D "$data" >/dev/null 2>&1; then
            echo "output_plugin_libraries = 'shard'"
        fi
        for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'"; done
    } | as_server_user tee -a "$data/postgresql.conf" >/dev/null
}

start() {
    as_server_user "$(bindir "$1")/pg_ctl" -D "$2" -l "$2.log" -w -t 60 start >/dev/null || {
        tail -n 20 "$2.log" >&2 2>/dev/null || true
        return 1
    }
}

stop() {
    as_server_user "$(bindir "$1")/pg_ctl" -D "$2" -m "${3:-immediate}" -w stop >/dev/null
}

run() {
    local dir=$1; shift
    as_server_user env PATH="$(bindir "$dir"):$PATH" "$@"
}

# Is a process of this id a server with its data below a directory?
is_server_below() {
    [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$2" ]
}

cleanup() {
    local dir=$1 file data pid tries
    [ -d "$dir" ] || return 0
    case $dir in /|/tmp|/home|"$HOME"|'') echo "will not remove $dir" >&2; return 1 ;; esac
    while read -r file; do
        data=$(cd "$(dirname "$file")" && pwd -P)
        pid=$(head -n 1 "$file" 2>/dev/null) || continue
        is_server_below "$pid" "$data" || continue
        kill -QUIT "$pid" 2>/dev/null || continue
        for ((tries = 0; tries < 100; tries++)); do
            is_server_below "$pid" "$data" || break
            sleep 0.1
        done
        ! is_server_below "$pid" "$data" || kill -KILL "$pid" 2>/dev/null || true
    done < <(find "$dir" -maxdepth 6 -name postmaster.pid 2>/dev/null)
    # A process that is just ending may still write a file: try again.
    for ((tries = 0; tries < 50; tries++)); do
        rm -rf "$dir" 2>/dev/null && return 0
        sleep 0.1
    done
    rm -rf "$dir"
}

command=$1; shift
case $command in
    stage|bindir|init|start|stop|run|cleanup) "$command" "$@" ;;
    *) echo "private-server.sh: unknown command $command" >&2; exit 2 ;;
esac
