# Moving a fifth of a table to a new shard under load: how long writes and reads
# of the moving keys wait at most, and how fast rows move, against COPY of the
# same rows out of a table and into another.  MOVE_ROWS (1000000) and MOVE_KEYS
# (10000) set the sizes, UPDATES_A_SECOND (1000) the load; sourced by run.
: "${MOVE_ROWS:=1000000}" "${MOVE_KEYS:=10000}" "${UPDATES_A_SECOND:=1000}"

# Updates and reads of keys that move, until move_load_stop.
move_load() {
    (cd "$temp/work" && rm -f write_log.* read_log.*
     exec pgbench -n -c 4 -T 600 -R "$UPDATES_A_SECOND" -M prepared -l --log-prefix=write_log -f "$temp/work/move_write.sql") >/dev/null 2>&1 &
    move_writer=$!
    (cd "$temp/work"
     exec pgbench -n -c 1 -T 600 -R 200 -M prepared -l --log-prefix=read_log -f "$temp/work/move_read.sql") >/dev/null 2>&1 &
    move_reader=$!
    sleep 2
}

move_load_stop() {
    kill "$move_writer" "$move_reader" 2>/dev/null
    wait "$move_writer" "$move_reader" 2>/dev/null
}

# Time in ms, without what a client was late, of what was logged since a time:
# longest, and that of 99.9 %.
move_longest() {
    cat "$temp/work/$1".* 2>/dev/null | awk -v since="$2" '$5 + $6 / 1e6 >= since && $3 ~ /^[0-9]+$/ { print ($3 - $7) / 1000 }' | sort -g |
        awk '{ v[NR] = $1 } END { n = int(NR * 0.999); if (n < 1) n = 1; printf("%.0f ms\n%.1f ms\n", v[NR], v[n]) }'
}

# move_measure NAME: wait for the running migration $move_id and print figures.
move_measure() {
    local result rows ms lock bytes
    result=$(query "SELECT success, entities_moved, duration_ms, error FROM shard.wait_migration($move_id)")
    [ "${result%%|*}" = t ] || { echo "migration failed: $result" >&2; return 1; }
    move_load_stop
    rows=$(cut -d'|' -f2 <<< "$result") ms=$(cut -d'|' -f3 <<< "$result")
    lock=$(query "SELECT round(extract(epoch FROM longest_lock) * 1000, 1) FROM shard.migrations WHERE migration_id = $move_id")
    bytes=$((rows * move_row_bytes))
    local write read
    mapfile -t write < <(move_longest write_log "$move_started")
    mapfile -t read < <(move_longest read_log "$move_started")
    line "$1: longest lock of a cut-over" "$lock ms" - -
    line "$1: longest write, 99.9 %" "${write[0]}" "${write[1]}" -
    line "$1: longest read, 99.9 %" "${read[0]}" "${read[1]}" -
    line "$1: $rows rows moved, against COPY out and in" "$ms ms" "$move_copy_ms ms" "$(ratio "$ms" "$move_copy_ms")"
    line "$1: rows a second, MB a second" "$((rows * 1000 / ms))" "$(ratio "$((bytes / 1000))" "$ms")" -
}

query "SELECT shard.create_router('move', 'consistent-hash', 4, partition_key => '{k}');
       CREATE TABLE move_rows (k text, id bigint, payload text, n int, PRIMARY KEY (k, id));
       INSERT INTO move_rows SELECT 'key-' || i % $MOVE_KEYS, i, repeat(md5(i::text), 3), 0 FROM generate_series(1, $MOVE_ROWS) i;
       SELECT shard.distribute_table('move_rows', 'move');
       SELECT shard.flush('10 min'); VACUUM ANALYZE move_rows" >/dev/null || exit 1
move_plan=$(query "SELECT shard.plan_add_shard('move')")
query "CREATE TABLE moving AS SELECT row_number() OVER ()::int AS i, partition_key AS k FROM shard.plan_movements($move_plan);
       ALTER TABLE moving ADD PRIMARY KEY (i)"
move_keys=$(query "SELECT count(*) FROM moving")
move_row_bytes=$(query "SELECT avg(pg_column_size(r))::int FROM (SELECT * FROM move_rows LIMIT 10000) r")
line "keys moved of $MOVE_KEYS, ideal" "$move_keys" "$((MOVE_KEYS / 5))" "$(ratio "$move_keys" "$((MOVE_KEYS / 5))")"

started=$EPOCHREALTIME
query "COPY (SELECT r.* FROM move_rows r JOIN moving USING (k)) TO '$temp/server/moved.copy' (FORMAT binary);
       CREATE TABLE move_copied (LIKE move_rows INCLUDING ALL);
       COPY move_copied FROM '$temp/server/moved.copy' (FORMAT binary)" >/dev/null || exit 1
move_copy_ms=$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { printf("%.0f", (b - a) * 1000) }')
rm -f "$temp/server/moved.copy"

cat > "$temp/work/move_write.sql" <<SQL
\\set i random(1, $move_keys)
SELECT k AS key, substr(k, 5)::bigint + $MOVE_KEYS AS id FROM moving WHERE i = :i \\gset
UPDATE move_rows SET n = n + 1 WHERE k = :key AND id = :id;
SQL
cat > "$temp/work/move_read.sql" <<SQL
\\set i random(1, $move_keys)
SELECT k AS key FROM moving WHERE i = :i \\gset
SELECT count(*) FROM move_rows WHERE k = :key;
SQL

move_load
sleep 3
mapfile -t move_quiet < <(move_longest write_log 0)
line "no migration: longest write, 99.9 %" "${move_quiet[0]}" "${move_quiet[1]}" -
move_started=$EPOCHREALTIME
move_id=$(query "SELECT shard.execute_plan($move_plan)")
move_measure "add a shard" || exit 1

move_load
move_started=$EPOCHREALTIME
psql -XAtq -c "BEGIN; SELECT count(*) FROM move_rows WHERE k = 'key-1'; SELECT pg_sleep(20); COMMIT" >/dev/null &
move_holder=$!
move_id=$(query "SELECT shard.remove_shard('move', 4)")
move_measure "remove it, a transaction open for 20 s" || exit 1
wait "$move_holder"
line "shard.migration_lock_timeout" "$(query 'SHOW shard.migration_lock_timeout')" - -
query "SELECT count(*) FROM shard.verify_placement('move')" | grep -qx 0 || { echo "rows are misplaced" >&2; exit 1; }
query "DROP TABLE move_rows, moving, move_copied; SELECT shard.drop_router('move')" >/dev/null
