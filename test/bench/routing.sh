# Figures of routing and counting; sourced by run, whose functions and tables of
# single rows it uses.

# ---- what counting costs ----

# Transactions a second of eight clients, counting on and off, in turns.
tps() { pgbench -n -c 8 -j 2 -T "$SECONDS_EACH" -M prepared -f "$temp/work/select-sharded_int" 2>/dev/null |
    sed -n 's/^tps = \([0-9.]*\).*/\1/p'; }
: > "$temp/work/ours"; : > "$temp/work/peer"
for ((run = 0; run < RUNS; run++)); do
    for switch in true false; do
        query "SELECT shard.alter_router('app_int', enable_metrics => $switch, track_access => $switch)" >/dev/null
        tps >> "$temp/work/$([ $switch = true ] && echo ours || echo peer)"
    done
done
query "SELECT shard.alter_router('app_int', enable_metrics => true, track_access => true)" >/dev/null
ours=$(median < "$temp/work/ours") peer=$(median < "$temp/work/peer")
line "8 clients' selects a second, counted and not" "${ours%.*}" "${peer%.*}" "$(ratio "$ours" "$peer")"

# ---- one call of route() ----

calls=300000
query "SELECT shard.create_router('r_hash', 'hash', 16);
       SELECT shard.create_router('r_xxh3', 'hash', 16, hash_function => 'xxh3');
       SELECT shard.create_router('r_ring', 'consistent-hash', 16);
       SELECT shard.create_router('r_tenant', 'tenant', 16);
       SELECT shard.create_router('r_range', 'range', ranges => (SELECT jsonb_agg(jsonb_build_object('start',
           CASE WHEN i > 0 THEN 'key-' || to_char(i * 6, 'FM00') END, 'end',
           CASE WHEN i < 15 THEN 'key-' || to_char(i * 6 + 6, 'FM00') END, 'shard', i)) FROM generate_series(0, 15) i))" >/dev/null
keys="SELECT 'key-' || i AS k FROM generate_series(1, $calls) i OFFSET 0"
# Less what the keys themselves cost; more than one session's noise, if RUNS is not 1.
empty=$(time_query "SELECT max(length(k)) FROM ($keys) x")
per_call() { awk -v t="$1" -v e="$empty" -v n="$calls" 'BEGIN { printf "%.0f", (t - e) * 1e6 / n }'; }
peer=$(per_call "$(time_query "SELECT max(length(k) + hashtextextended(k, 0) % 16) FROM ($keys) x")")
for router in r_hash r_xxh3 r_ring r_tenant r_range; do
    ours=$(per_call "$(time_query "SELECT max(length(k) + shard.route('$router', k)) FROM ($keys) x")")
    line "route(), ${router#r_}, against hashtextextended() % 16" "$ours ns" "$peer ns" "$(ratio "$ours" "$peer")"
done

# ---- memory of a map ----

memory_of() {
    psql -XAtq -v ON_ERROR_STOP=1 <<-SQL | tail -n 1
	SELECT shard.route('$1', 'key-' || i) FROM generate_series(1, $2) i \g /dev/null
	SELECT pg_size_pretty(sum(total_bytes)) FROM pg_backend_memory_contexts WHERE name LIKE 'shard%';
	SQL
}
query "SELECT shard.create_router('m_ring', 'consistent-hash', 1000, virtual_nodes => 500);
       SELECT shard.create_router('m_pins', 'consistent-hash', 16);
       INSERT INTO _shard.pin SELECT 'm_pins', 'key-' || i, i % 16 FROM generate_series(1, 100000) i;
       UPDATE _shard.router_ready SET pinned = true WHERE router = 'm_pins'" >/dev/null
line "memory of a backend, 1,000 shards of 500 virtual nodes" "$(memory_of m_ring 1000)" - -
line "memory of a backend, 100,000 pins, all of them asked for" "$(memory_of m_pins 100000)" "$(memory_of r_ring 100000)" -
for router in r_hash r_xxh3 r_ring r_tenant r_range m_ring m_pins; do
    query "SELECT shard.drop_router('$router')" >/dev/null 2>&1
done
