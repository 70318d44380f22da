# Many shards and tables: how long making them takes, and what planning and
# routing cost then.  SHARDS (1000), TABLES (100) and TENANTS (10000) set the
# sizes; sourced by run when it is called as "run shards".
: "${SHARDS:=1000}" "${TABLES:=100}" "${TENANTS:=10000}"

elapsed() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
planning() {
    { for ((i = 0; i <= 20; i++)); do echo "EXPLAIN (SUMMARY) $1;"; done; } |
        psql -XAtq | sed -n 's/^Planning Time: \([0-9.]*\) ms/\1/p' | tail -n 20 | median
}

started=$EPOCHREALTIME
query "SELECT shard.create_router('many', 'tenant', $SHARDS, partition_key => '{tenant}')" >/dev/null || exit 1
line "a router of $SHARDS shards" "$(elapsed "$started") s" - -

query "CREATE TABLE many_plain (tenant text, id bigint, v text, PRIMARY KEY (tenant, id))" || exit 1
started=$EPOCHREALTIME
query "CREATE TABLE many_1 (LIKE many_plain INCLUDING ALL);
       SELECT shard.distribute_table('many_1', 'many', lake => false)" >/dev/null || exit 1
line "distributing the first table over $SHARDS shards" "$(elapsed "$started") s" - -
query "CREATE TABLE native_4 (LIKE many_plain INCLUDING ALL) PARTITION BY HASH (tenant);
       SELECT format('CREATE TABLE native_4_%s PARTITION OF native_4 FOR VALUES WITH (MODULUS 4, REMAINDER %s)', i, i)
       FROM generate_series(0, 3) i \gexec
       CREATE TABLE native_many (LIKE many_plain INCLUDING ALL) PARTITION BY HASH (tenant)" >/dev/null || exit 1
started=$EPOCHREALTIME
query "SELECT format('CREATE TABLE native_many_%s PARTITION OF native_many FOR VALUES WITH (MODULUS $SHARDS, REMAINDER %s)', i, i)
       FROM generate_series(0, $SHARDS - 1) i \gexec" >/dev/null || exit 1
line "making $SHARDS native partitions" "$(elapsed "$started") s" - -
query "INSERT INTO many_1 SELECT 'tenant-' || i % $TENANTS, i, 'v' FROM generate_series(1, $TENANTS * 10) i;
       INSERT INTO native_many TABLE many_1; INSERT INTO native_4 TABLE many_1; INSERT INTO many_plain TABLE many_1;
       ANALYZE many_1; ANALYZE native_many; ANALYZE native_4; ANALYZE many_plain" >/dev/null || exit 1
one="WHERE tenant = 'tenant-7' AND id = 7"
ours=$(planning "SELECT v FROM many_1 $one") peer=$(planning "SELECT v FROM native_many $one")
line "planning with a key, $SHARDS shards, against native" "$ours ms" "$peer ms" "$(ratio "$ours" "$peer")"
peer=$(planning "SELECT v FROM native_4 $one")
line "the same, against 4 native partitions" "$ours ms" "$peer ms" "$(ratio "$ours" "$peer")"
ours=$(planning "SELECT count(*) FROM many_1") peer=$(planning "SELECT count(*) FROM native_many")
line "planning without a key, against native" "$ours ms" "$peer ms" "$(ratio "$ours" "$peer")"
ours=$(time_query "SELECT count(shard.route('many', 'tenant-' || i)) FROM generate_series(1, $TENANTS) i")
peer=$(time_query "SELECT count(hashtextextended('tenant-' || i, 0) % $SHARDS) FROM generate_series(1, $TENANTS) i")
line "routing $TENANTS tenants, against a hash" "$ours ms" "$peer ms" "$(ratio "$ours" "$peer")"

started=$EPOCHREALTIME
for ((i = 2; i <= TABLES; i++)); do
    query "CREATE TABLE many_$i (tenant text, id bigint, v text, PRIMARY KEY (tenant, id));
           SELECT shard.distribute_table('many_$i', 'many', lake => false)" >/dev/null || exit 1
done
line "distributing $((TABLES - 1)) more tables" "$(elapsed "$started") s" - -
ours=$(planning "SELECT v FROM many_$TABLES $one")
line "planning with a key, $TABLES tables of $SHARDS shards" "$ours ms" - -
