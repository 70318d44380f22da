#!/bin/bash
# A private copy of PostgreSQL with this build installed into it, and servers
# on it: nothing outside a temporary directory is touched.
#
#   private-server.sh stage DIR            copy the server's programs to DIR and install this build there
#   private-server.sh init DIR DATA [k=v]  make a cluster in DATA, with settings
#   private-server.sh start DIR DATA       start it; its socket is in DATA's parent
#   private-server.sh stop DIR DATA        stop it (immediate)
#   private-server.sh run DIR COMMAND ...  run a command as the server's user, programs of DIR first on PATH
#
# The server listens on a Unix socket only: PGHOST is DATA's parent directory.
# As root, PostgreSQL runs as the user "postgres".
set -euo pipefail

: "${PG_CONFIG:=/usr/lib/postgresql/15/bin/pg_config}"
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp "$@"
    else
        "$@"
    fi
}

stage() {
    local dir=$1 path
    mkdir -p "$dir"
    for path in "$($PG_CONFIG --libdir)/postgresql/15" /usr/lib/postgresql/15 /usr/share/postgresql/15; do
        [ -d "$path" ] || continue
        mkdir -p "$dir$path"
        cp -a "$path/." "$dir$path/"
    done
    make -s -C "$top" all
    make -s -C "$top" install DESTDIR="$dir" >/dev/null
    chmod -R a+rX "$dir"
}

bindir() { echo "$1$($PG_CONFIG --bindir)"; }

init() {
    local dir=$1 data=$2; shift 2
    mkdir -p "$(dirname "$data")"
    [ "$(id -u)" != 0 ] || chown postgres "$(dirname "$data")"
    as_server_user "$(bindir "$dir")/initdb" -D "$data" -U postgres -A trust -N --no-instructions \
        --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$(dirname "$data")'"
        echo "shared_preload_libraries = 'shard'"
        echo "wal_level = logical"
        echo "max_worker_processes = 24"
        echo "max_locks_per_transaction = 256"
        echo "log_min_messages = warning"
        if as_server_user "$(bindir "$dir")/postgres" -C output_plugin_libraries -D "$data" >/dev/null 2>&1; then
            echo "output_plugin_libraries = 'shard'"
        fi
        for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'"; done
    } > "$data.settings"
    cat "$data.settings" | as_server_user tee -a "$data/postgresql.conf" >/dev/null
}

start() {
    as_server_user "$(bindir "$1")/pg_ctl" -D "$2" -l "$2.log" -w -t 60 start >/dev/null
}

stop() {
    as_server_user "$(bindir "$1")/pg_ctl" -D "$2" -m "${3:-immediate}" -w stop >/dev/null
}

run() {
    local dir=$1; shift
    as_server_user env PATH="$(bindir "$dir"):$PATH" "$@"
}

command=$1; shift
"$command" "$@"
