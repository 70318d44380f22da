# The pipeline: rows a second from the WAL to the committed snapshot, against
# pg_recvlogical with pgoutput reading the same WAL to a file (the decoding limit)
# and against COPY of the same rows to CSV; lag under a steady load of updates; and
# what the pipeline costs those who write.  PIPELINE_ROWS (1000000) sets the size;
# sourced by run, also as "run pipeline".
: "${PIPELINE_ROWS:=1000000}"

reload() { query "ALTER SYSTEM SET $1; SELECT pg_reload_conf()" >/dev/null || exit 1; }
pause() { reload "shard.point = 'pipeline-pause:wait'"; }
go_on() { reload "shard.point = ''"; }
rate() { awk -v n="$1" -v s="$2" 'BEGIN { if (s > 0) printf "%.0f", n / s }'; }
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'; }
fill_narrow="SELECT i, i % 1000, i::float8 FROM generate_series(1, $PIPELINE_ROWS) i"
fill_wide="SELECT i, md5(i::text), 'text ' || i, 'more text of row ' || i, md5((i + 1)::text), now(), current_date,
    i % 100, i % 1000, i, i * 10::bigint, i / 7.0, i / 11.0, i::float8, i % 2 = 0, gen_random_uuid(), NULL, 'constant', 'x', ''
    FROM generate_series(1, $PIPELINE_ROWS) i"

# Where the server lists the output plugins that it loads, the peer's is one.
[ -z "$(query "SELECT current_setting('output_plugin_libraries', true)")" ] ||
    reload "output_plugin_libraries = 'shard', 'pgoutput'"

query "CREATE TABLE narrow (k bigint PRIMARY KEY, n int, f float8);
       CREATE TABLE wide (k bigint PRIMARY KEY, a text, b text, c text, d text, t timestamptz, e date, g int, h int,
           i int, j bigint, l numeric(20, 5), m numeric(20, 5), n float8, o boolean, p uuid, q text, r text, s text, u text);
       SELECT shard.distribute_table(t, 'app') FROM unnest('{narrow,wide}'::regclass[]) t;
       CREATE PUBLICATION peer FOR TABLE narrow, wide;
       SELECT shard.flush('5 min')" >/dev/null || exit 1

# compare_wal NAME ROWS TABLE STATEMENT: the statement is run while nobody reads the
# WAL, and both read it afterwards.
compare_wal() {
    local name=$1 rows=$2 table=$3 started ours peer csv end
    query "SELECT pg_create_logical_replication_slot('peer', 'pgoutput')" >/dev/null || exit 1
    pause
    query "$4" >/dev/null || exit 1
    end=$(query "SELECT pg_current_wal_flush_lsn()")
    started=$EPOCHREALTIME
    go_on
    query "SELECT shard.flush('30 min')" >/dev/null || exit 1
    ours=$(since "$started")
    query "SELECT pg_logical_emit_message(false, 'end', '')" >/dev/null
    started=$EPOCHREALTIME
    pg_recvlogical -d postgres --slot=peer --start --no-loop --endpos="$end" -f "$temp/work/recv" \
        -o proto_version=1 -o publication_names=peer 2>/dev/null
    peer=$(since "$started")
    query "SELECT pg_drop_replication_slot('peer')" >/dev/null
    rm -f "$temp/work/recv"
    line "$name, rows/s, against pg_recvlogical" "$(rate "$rows" "$ours")" "$(rate "$rows" "$peer")" "$(ratio "$peer" "$ours")"
    started=$EPOCHREALTIME
    psql -Xq -c "\copy (SELECT * FROM $table) TO '$temp/work/csv' CSV" || exit 1
    csv=$(since "$started")
    rm -f "$temp/work/csv"
    line "$name, rows/s, against COPY to CSV" "$(rate "$rows" "$ours")" "$(rate "$rows" "$csv")" "$(ratio "$csv" "$ours")"
    [ "$(query "SELECT count(*) = (SELECT count(*) FROM $table) FROM lake.$table")" = t ] || {
        echo "the lake does not have all rows of $table" >&2; exit 1; }
}
compare_wal "WAL to snapshot, narrow, inserts" "$PIPELINE_ROWS" narrow "INSERT INTO narrow $fill_narrow"
compare_wal "WAL to snapshot, wide, inserts" "$PIPELINE_ROWS" wide "INSERT INTO wide $fill_wide"
query "VACUUM narrow; VACUUM wide; CHECKPOINT"
compare_wal "WAL to snapshot, narrow, updates" "$PIPELINE_ROWS" narrow "UPDATE narrow SET n = n + 1"
compare_wal "WAL to snapshot, wide, updates" $((PIPELINE_ROWS / 4)) wide "UPDATE wide SET g = g + 1 WHERE k % 4 = 0"

# ---- lag ----

query "VACUUM narrow; CHECKPOINT"
cat > "$temp/work/updates" <<SQL
\set i random(1, $PIPELINE_ROWS - 100)
UPDATE narrow SET n = n + 1 WHERE k BETWEEN :i AND :i + 99;
SQL
before=$(query "SELECT rows_read FROM shard.pipeline_status")
started=$EPOCHREALTIME
pgbench -n -c 2 -R 100 -T 20 -f "$temp/work/updates" >/dev/null 2>&1 & writer=$!
: > "$temp/work/lag"
query "SELECT pg_sleep(3)" >/dev/null
for ((i = 0; i < 10; i++)); do
    lsn=$(query "SELECT pg_current_wal_insert_lsn()")
    sampled=$EPOCHREALTIME
    until [ "$(query "SELECT flushed_lsn >= '$lsn' FROM shard.pipeline_status")" = t ]; do sleep 0.02; done
    since "$sampled" >> "$temp/work/lag"; echo >> "$temp/work/lag"
done
wait $writer
rows=$(query "SELECT shard.flush('5 min') IS NULL, rows_read - $before FROM shard.pipeline_status" | cut -d'|' -f2)
line "lag in s, at $(rate "$rows" "$(since "$started")") updates/s (middle, longest)" \
    "$(median < "$temp/work/lag")" "$(sort -g "$temp/work/lag" | tail -n 1)" -

# ---- what it costs the application ----

cat > "$temp/work/one" <<SQL
\set i random(1, $PIPELINE_ROWS)
UPDATE narrow SET n = n + 1 WHERE k = :i;
INSERT INTO narrow VALUES (nextval('pipeline_ids'), 0, 0);
SQL
query "CREATE SEQUENCE pipeline_ids START 100000000" || exit 1
: > "$temp/work/ours"; : > "$temp/work/peer"; : > "$temp/work/ours-copy"; : > "$temp/work/peer-copy"
for ((run = 0; run < (RUNS + 1) / 2; run++)); do
    for side in ours peer; do
        query "SELECT shard.flush('5 min'); CHECKPOINT" >/dev/null || exit 1
        [ $side = ours ] || pause
        time_pgbench one prepared >> "$temp/work/$side"
        started=$EPOCHREALTIME
        query "INSERT INTO narrow SELECT nextval('pipeline_ids'), i, i FROM generate_series(1, 500000) i" || exit 1
        since "$started" >> "$temp/work/$side-copy"; echo >> "$temp/work/$side-copy"
        go_on
    done
done
a=$(median < "$temp/work/ours") b=$(median < "$temp/work/peer")
line "pgbench of updates and inserts, pipeline on, and off" "$a ms" "$b ms" "$(ratio "$a" "$b")"
a=$(median < "$temp/work/ours-copy") b=$(median < "$temp/work/peer-copy")
line "loading 500,000 rows, pipeline on, and off" "$a s" "$b s" "$(ratio "$a" "$b")"
query "SELECT shard.flush('5 min')" >/dev/null
