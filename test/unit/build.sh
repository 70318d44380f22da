#!/bin/bash
# Builds unit tests into build/unit: build.sh NAME ... (default: every test_*.c).
#
# What a test is linked with stands in its first line, for instance
#   /* sources: src/router/hash.c src/router/map.c ; libs: -lxxhash */
# With SANITIZE=1 the address and undefined-behaviour sanitizers are compiled in.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p build/unit
flags=(-std=gnu11 -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare
       -Wno-missing-field-initializers -DSHARD_STANDALONE -Isrc -Itest/unit)
[ -z "${SANITIZE:-}" ] || flags+=(-fsanitize=address,undefined -fno-sanitize-recover=undefined)

[ $# -gt 0 ] || set -- test/unit/test_*.c
for test in "$@"; do
    file=test/unit/$(basename "$test" .c).c
    header=$(head -n 1 "$file")
    case $header in
        *sources:*) ;;
        *) echo "$file: its first line does not say /* sources: ... */" >&2; exit 1 ;;
    esac
    sources=$(sed 's/^.*sources: *//; s/\*\/.*$//; s/;.*$//' <<<"$header")
    libs=$(sed -n 's/^.*libs: *//p' <<<"$header" | sed 's/\*\/.*$//; s/;.*$//')
    # shellcheck disable=SC2086
    ${CC:-gcc} "${flags[@]}" -o "build/unit/$(basename "$test" .c)" "$file" test/unit/tap.c $sources $libs -lm
done
