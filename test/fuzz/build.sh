#!/bin/bash
# Builds fuzz targets into build/fuzz: build.sh NAME ... (default: every fuzz_*.c),
# with libFuzzer and the address and undefined-behaviour sanitizers.  What a
# target is linked with stands in its first line, as for unit tests; a folder
# stands for its files.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p build/fuzz
flags=(-std=gnu11 -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare
       -Wno-missing-field-initializers -DSHARD_STANDALONE -Isrc -Itest/fuzz
       -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined)

[ $# -gt 0 ] || set -- test/fuzz/fuzz_*.c
for target in "$@"; do
    file=test/fuzz/$(basename "$target" .c).c
    header=$(head -n 1 "$file")
    sources=$(sed 's/^.*sources: *//; s/;.*$//' <<<"$header")
    sources=$(sed -E "s#/( |\$)#/*.c\1#g" <<<"$sources")
    libs=$(sed -n 's/^.*libs: *//p' <<<"$header" | sed 's/\*\/.*$//; s/;.*$//')
    # shellcheck disable=SC2086
    "${CLANG:-clang-14}" "${flags[@]}" -o "build/fuzz/$(basename "$target" .c)" "$file" test/fuzz/fuzz.c $sources $libs -lm
done
