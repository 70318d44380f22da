#!/bin/bash
# Seeds for the fuzz targets, from tables that others wrote: seeds.sh DIR
# makes DIR/fuzz_metadata and DIR/fuzz_manifest, and prints the list of metadata
# files that the first bytes of manifests count in.
set -euo pipefail
shopt -s nullglob

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tables=$top/test/unit/data/iceberg
mkdir -p "$1/fuzz_metadata" "$1/fuzz_manifest" "$1/fuzz_chunk"

# A byte whose low bit says "manifest list", before a file.
seed() { { printf "\\x$(printf %02x "$2")"; cat "$1"; } > "$3"; }

list=() n=0
for table in "$tables"/*/; do
    metadata=("$table"*.metadata.json)
    [ ${#metadata[@]} -gt 0 ] || continue
    name=$(basename "$table")
    cp "${metadata[-1]}" "$1/fuzz_metadata/$name"
    list+=("${metadata[-1]}")
    for avro in "$table"*.avro; do
        case $(basename "$avro") in
            snap-*) seed "$avro" $((n * 2 + 1)) "$1/fuzz_manifest/$name-$(basename "$avro")" ;;
            *) seed "$avro" $((n * 2)) "$1/fuzz_manifest/$name-$(basename "$avro")" ;;
        esac
    done
    n=$((n + 1))
done
# Frames and chunks are simple enough to be found from nothing.
printf '\1%0100d' 0 > "$1/fuzz_chunk/frame"
printf '\0%0100d' 0 > "$1/fuzz_chunk/chunk"
(IFS=:; echo "${list[*]}")
