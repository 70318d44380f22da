# Figures of single lake queries, sourced by run: "run lake".
#
# The first query of a connection, a lookup of one row, planning over many files,
# a kept result, and scans of which rows are deleted, each against its peer.

rows=${ROWS:-1000000}
query "ALTER SYSTEM SET shard.compaction = off; SELECT pg_reload_conf();
       SELECT shard.create_router('app', 'hash', 4, partition_key => '{id}');
       CREATE TABLE plain (id bigint PRIMARY KEY, k text, v text, n int);
       INSERT INTO plain SELECT i, 'key-' || i % 1000, 'value ' || i, i % 100 FROM generate_series(1, $rows) i;
       CREATE TABLE one (LIKE plain INCLUDING ALL);
       SELECT shard.distribute_table('one', 'app');
       INSERT INTO one TABLE plain;
       SELECT shard.flush('10 min');
       ANALYZE lake.one; VACUUM ANALYZE plain" >/dev/null || exit 1

# ---- a new connection ----

first_of() {
    local run started
    for ((run = 0; run <= RUNS; run++)); do
        started=$EPOCHREALTIME
        query "$1" >/dev/null
        awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", (b - a) * 1000 }'
    done | tail -n "$RUNS" | median
}
ours=$(first_of "SELECT v FROM lake.one WHERE id = 77777") peer=$(first_of "SELECT v FROM plain WHERE id = 77777")
line "connection and its first lake query" "$ours ms" "$peer ms" "$(ratio "$ours" "$peer")"

# ---- one row by its key ----

printf '%s\n' "\\set i random(1, $rows)" 'SELECT v, n FROM lake.one WHERE id = :i;' > "$temp/work/lookup-lake"
printf '%s\n' "\\set i random(1, $rows)" 'SELECT v, n FROM plain WHERE id = :i;' > "$temp/work/lookup-plain"
for mode in simple prepared; do
    compare_pgbench "lookup of one row by key" "$mode" lookup-lake lookup-plain
done

# ---- planning over many files ----

header=$(head -n 1 "$here/many_files.c")
sources=$(sed 's/^.*sources: *//; s/;.*$//' <<< "$header") libs=$(sed 's/^.*libs: *//; s/\*\/.*$//' <<< "$header")
# shellcheck disable=SC2086
(cd "$here/../.." && ${CC:-gcc} -std=gnu11 -O2 -DSHARD_STANDALONE -Isrc -Itest/unit -o "$temp/work/many_files" \
    test/bench/many_files.c test/unit/tap.c $sources $libs -lm) || exit 1
mkdir -p "$temp/server/many/metadata"
"$temp/work/many_files" "$temp/server/many" 10000 100 || exit 1
chmod -R a+rX "$temp/server/many"
query "CREATE FOREIGN TABLE many (id bigint, day date, name text, n1 int) SERVER lake
           OPTIONS (metadata_location '$temp/server/many/metadata/v1.metadata.json')"
explain="EXPLAIN SELECT name FROM many WHERE id = 5000000 AND day > '2022-02-02'"
cold=$(first_of "$explain")
warm=$(time_query "$explain")
peer=$(time_query "EXPLAIN SELECT v FROM plain WHERE id = 5000000 AND n > 2")
line "planning at 10,000 files, warm; a plain table" "$warm ms" "$peer ms" "$(ratio "$warm" "$peer")"
line "planning at 10,000 files, in a new connection" "$cold ms" - -

# ---- a result that is kept ----

report="SELECT k, count(*), sum(n), max(v) FROM lake.one GROUP BY k ORDER BY k"
peer=$(time_query "$report")
ours=$(PGOPTIONS='-c shard.cache_enabled=on' time_query "$report")
line "repeat of a report: kept, and computed" "$ours ms" "$peer ms" "$(ratio "$ours" "$peer")"

# ---- deleted rows ----

for percent in 1 10 50; do
    query "CREATE TABLE worn$percent (LIKE plain INCLUDING ALL);
           SELECT shard.distribute_table('worn$percent', 'app');
           INSERT INTO worn$percent TABLE plain;
           SELECT shard.flush('10 min');
           DELETE FROM worn$percent WHERE hashint8(id) % 100 < $percent AND hashint8(id) >= 0
               OR hashint8(id) < 0 AND -(hashint8(id) % 100) < $percent;
           SELECT shard.flush('10 min');
           CREATE TABLE new$percent (LIKE plain INCLUDING ALL);
           SELECT shard.distribute_table('new$percent', 'app');
           INSERT INTO new$percent TABLE worn$percent;
           SELECT shard.flush('10 min')" >/dev/null 2>&1 || exit 1
    [ "$(query "SELECT count(*) FROM lake.worn$percent")" = "$(query "SELECT count(*) FROM plain p WHERE EXISTS (SELECT FROM worn$percent w WHERE w.id = p.id)")" ] ||
        { echo "the lake has other rows" >&2; exit 1; }
    worn=$(time_query "SELECT count(*), sum(n), max(v) FROM lake.worn$percent")
    fresh=$(time_query "SELECT count(*), sum(n), max(v) FROM lake.new$percent")
    line "scan, $percent % of the rows deleted; freshly written" "$worn ms" "$fresh ms" "$(ratio "$worn" "$fresh")"
    query "DROP TABLE worn$percent, new$percent" 2>/dev/null
done
