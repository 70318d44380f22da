#!/bin/bash
# Installs what build, demo and tests need: Debian packages into the system
# (packages.txt), npm packages into $SHARD_DEPS (npm-packages.txt).
#
# Safe to run again, and quick when everything is there.  Nothing that it
# installs is left running: the cluster that Debian makes for a new server
# package is not made.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deps=${SHARD_DEPS:-$(cd "$here/../.." && pwd)/build/deps}

say() { echo "deps: $*"; }
die() { echo "deps: error: $*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null ||
            die "some packages are missing, and installing them needs root or sudo: $(missing_packages)"
        sudo "$@"
    fi
}

# ---- Debian packages ----

installed_version() {
    dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p'
}

# The packages of the list that are not there; both halves of PostgreSQL if
# their versions differ, since a module must fit its server.
missing_packages() {
    local package program
    while read -r package program; do
        case $package in ''|'#'*) continue ;; esac
        [ -z "$program" ] || ! command -v "$program" >/dev/null || continue
        [ -n "$(installed_version "$package")" ] || echo "$package"
    done < "$here/packages.txt"
    if [ "$(installed_version postgresql-15)" != "$(installed_version postgresql-server-dev-15)" ]; then
        echo postgresql-15
        echo postgresql-server-dev-15
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 install "$@" > "$log" 2>&1 || {
        tail -n 30 "$log" >&2
        die "apt-get could not install: $*"
    }
}

# Install a server without the cluster that its package makes by default.
without_cluster() {
    local conf=/etc/postgresql-common/createcluster.conf
    apt_install postgresql-common
    as_root cp -a "$conf" "$conf.before-shard"
    undo="as_root mv -f $conf.before-shard $conf"
    echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
    apt_install "$@"
    $undo
    undo=:
}

debian_packages() {
    local packages
    packages=$(missing_packages | sort -u)
    [ -n "$packages" ] || return 0
    command -v apt-get >/dev/null || die "these Debian packages are missing, and there is no apt-get:" $packages
    say "installing Debian packages:" $packages
    as_root apt-get -qq update > "$log" 2>&1 || say "warning: package lists could not be renewed"
    if [ -z "$(installed_version postgresql-15)" ]; then
        without_cluster $packages
    else
        apt_install $packages
    fi
    packages=$(missing_packages | sort -u)
    [ -z "$packages" ] || die "still missing after installation:" $packages
}

# ---- npm packages ----

# Checksum of a file in the form of npm's "integrity".
integrity() {
    node -e 'const c = require("crypto"), f = require("fs");
             console.log("sha512-" + c.createHash("sha512").update(f.readFileSync(process.argv[1])).digest("base64"))' "$1"
}

# Fetch one package, check it, and unpack the files that are wanted of it.
npm_package() {
    local name=$1 version=$2 wanted=$3 files=$4 work=$temp/npm archive actual pair from to
    rm -rf "$work"
    mkdir -p "$work/x"
    (cd "$work" && npm pack --silent --ignore-scripts "$name@$version" >/dev/null 2>"$log") || {
        tail -n 20 "$log" >&2
        die "npm could not fetch $name $version"
    }
    archive=$(ls "$work"/*.tgz)
    actual=$(integrity "$archive")
    [ "$actual" = "$wanted" ] || die "$name $version has checksum $actual, expected $wanted"
    if [ "$files" = '*' ]; then
        tar -xzf "$archive" -C "$work/x" --no-same-owner --strip-components=1
        to=$deps/node_modules/$name
        mkdir -p "$(dirname "$to")"
        rm -rf "$to"
        mv "$work/x" "$to"
    else
        for pair in ${files//,/ }; do
            from=${pair%%=*} to=$deps/${pair#*=}
            mkdir -p "$(dirname "$to")"
            tar -xzf "$archive" -C "$work/x" --no-same-owner "package/$from"
            # By rename: programs that have the old file open keep it.
            mv "$work/x/package/$from" "$to.new"
            mv -f "$to.new" "$to"
        done
    fi
}

npm_packages() {
    local stamp name version sum files
    stamp=$(cat "$here/npm-packages.txt" "$here/deps.sh" | sha256sum | cut -d' ' -f1)
    [ "$(cat "$deps/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    while read -r name version sum files; do
        case $name in ''|'#'*) continue ;; esac
        say "fetching npm package $name $version"
        npm_package "$name" "$version" "$sum" "$files"
    done < "$here/npm-packages.txt"
    ln -sf ../node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so "$deps/lib/libduckdb.so"
    chmod -R a+rX "$deps"
    echo "$stamp" > "$deps/.stamp"
}

[ "$(uname -sm)" = "Linux x86_64" ] || die "this works on Linux x86_64 only, not on $(uname -sm)"
temp=$(mktemp -d)
log=$temp/log
undo=:
trap '$undo; rm -rf "$temp"' EXIT
mkdir -p "$deps/lib"
exec 9> "$deps/.lock"
flock 9 2>/dev/null || true
debian_packages
npm_packages
say "everything is there (npm packages in $deps)"
