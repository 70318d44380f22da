// Every type that the lake has, in a state table and an event log, read by
// icebird and by DuckDB: the rows must be those of the live table.
import { DuckDBInstance } from '@duckdb/node-api'
import { done, is, json, ok, sql, value } from './lib/tap.mjs'
import { localPath, openTable, readFiles, readRows } from './lib/iceberg.mjs'

sql(`
  CREATE EXTENSION shard;
  SELECT shard.create_router('types', 'consistent-hash', 3, partition_key => '{k}');
  CREATE TABLE things (k text, id bigint, b boolean, i int, s smallint, l bigint, f real, d double precision,
    n numeric(12, 3), big numeric(38, 10), day date, t time, ts timestamp, tz timestamptz, txt text, c varchar(10),
    bin bytea, u uuid, j jsonb, PRIMARY KEY (k, id));
  SELECT shard.distribute_table('things', 'types');
  INSERT INTO things VALUES
    ('a', 1, true, 1, 2, 3, 1.5, 2.5, 12.345, 1234567890.0123456789, '2024-02-29', '12:34:56.789012',
     '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+02', 'text', 'varchar', '\\x00ff41',
     '123e4567-e89b-12d3-a456-426614174000', '{"a": [1, null]}'),
    ('a', 2, false, -2147483648, -32768, -9223372036854775808, -0.5, -1e300, -999999999.999,
     -9999999999999999999999999999.9999999999, '0001-01-01', '00:00', '0001-01-01', '1969-12-31 23:59:59.999999+00',
     'Zürich → 東京 \u{1F600}', '', '', '00000000-0000-0000-0000-000000000000', '[]'),
    ('é', 3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
  INSERT INTO things (k, id, i) SELECT 'k' || x % 17, x, x FROM generate_series(100, 3099) x;
  SELECT shard.flush();
  UPDATE things SET i = i + 1 WHERE id % 3 = 0;
  UPDATE things SET k = 'moved' WHERE id BETWEEN 200 AND 220;
  DELETE FROM things WHERE id % 10 = 0;
  SELECT shard.flush()`)

const location = name => value(`SELECT metadata_location FROM iceberg_tables WHERE table_name = '${name}'`)
const state = await openTable(location('things'))
is(state.metadata['format-version'], 2, 'format version 2')
const files = await readFiles(state)
ok(files.data.length > 0, 'there are data files')
ok(files.deletes.length > 0, 'there are delete files')

// ---- icebird ----

const expected = json(`SELECT json_agg(json_build_array(k, id, i) ORDER BY id) FROM things`)
const rows = await readRows(state)
const byId = rows.slice().sort((a, b) => Number(a.id - b.id))
is(byId.map(r => [r.k, Number(r.id), r.i ?? null]), expected, 'icebird: keys and integers of all rows')

const one = byId.find(r => r.id === 1n)
is(one.b, true, 'icebird: boolean')
is(one.l, 3n, 'icebird: bigint')
is([one.f, one.d], [1.5, 2.5], 'icebird: real and double precision')
is(Math.abs(Number(one.n) - 12.345) < 1e-9, true, 'icebird: numeric')
is(one.ts instanceof Date && one.ts.toISOString(), '2024-02-29T12:34:56.789Z', 'icebird: timestamp')
is(one.tz instanceof Date && one.tz.toISOString(), '2024-02-29T10:34:56.789Z', 'icebird: timestamptz')
is(one.day instanceof Date && one.day.toISOString().slice(0, 10), '2024-02-29', 'icebird: date')
is(one.txt, 'text', 'icebird: text')
const nulls = byId.find(r => r.id === 3n)
is(Object.keys(nulls).filter(c => nulls[c] !== null && nulls[c] !== undefined), ['k', 'id'], 'icebird: NULLs')

// ---- DuckDB on the files that the manifests name ----

const instance = await DuckDBInstance.create(':memory:')
const duck = await instance.connect()
const list = entries => '[' + entries.map(e => `'${localPath(e.data_file.file_path)}'`).join(', ') + ']'
const scan = `SELECT * FROM read_parquet(${list(files.data)}, filename = true, file_row_number = true) d
  WHERE NOT EXISTS (SELECT 1 FROM read_parquet(${list(files.deletes)}) x
                    WHERE regexp_replace(x.file_path, '^file:(//)?', '') = d.filename AND x.pos = d.file_row_number)`
const duckRows = async query => (await duck.runAndReadAll(query)).getRowsJson()
await duck.run(`SET TimeZone = 'UTC'`)
await duck.run(`CREATE TEMP TABLE state AS ${scan}`)
is((await duckRows('SELECT count(*), sum(i), count(DISTINCT k) FROM state'))[0].map(String),
  sql('SELECT count(*), sum(i), count(DISTINCT k) FROM things')[0], 'DuckDB: counts and sums')
const duckText = await duckRows(`
  SELECT id, b::text, i::text, s::text, l::text, f::text, d::text, n::text, big::text, day::text, t::text, ts::text,
         (tz AT TIME ZONE 'UTC')::text, txt, c, hex(bin), u::text FROM state WHERE id IN (1, 2) ORDER BY id`)
const pgText = sql(`
  SELECT id, b::text, i, s, l, f, d, n, big, day, t, ts, tz AT TIME ZONE 'UTC', txt, c, upper(encode(bin, 'hex')), u
  FROM things WHERE id IN (1, 2) ORDER BY id`)
const plain = row => row.map(v => v === null ? '' : String(v).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''))
for (const n of pgText.keys()) is(plain(duckText[n]), plain(pgText[n]), `DuckDB: every type, row ${n + 1}`)

const schema = await duckRows(`SELECT name, field_id FROM parquet_schema('${localPath(files.data[0].data_file.file_path)}')
  WHERE field_id IS NOT NULL ORDER BY field_id`)
is(schema.map(r => r[0]), sql(`SELECT attname FROM pg_attribute WHERE attrelid = 'things'::regclass AND attnum > 0
  AND NOT attisdropped ORDER BY attnum`).map(r => r[0]), 'Parquet files carry field ids')

// ---- manifests tell the truth about the files ----

for (const [index, { data_file: f }] of files.data.entries()) {
  const [count, min, max] = (await duckRows(
    `SELECT count(*), min(id), max(id) FROM read_parquet('${localPath(f.file_path)}')`))[0]
  is(Number(f.record_count), Number(count), `data file ${index + 1}: record_count`)
  const bound = b => { // field 2 is id, a long: 8 bytes, little-endian
    const found = b?.find(e => e.key === 2)
    return found ? Buffer.from(found.value).readBigInt64LE() : null
  }
  is([bound(f.lower_bounds), bound(f.upper_bounds)], [BigInt(min), BigInt(max)], `data file ${index + 1}: bounds of id`)
}

// ---- the event log ----

const events = await readRows(await openTable(location('things_events')))
is(events.length, Number(value('SELECT count(*) FROM lake.things_events')), 'icebird: as many events as the lake says')
is(new Set(events.map(e => e._event_id)).size, events.length, 'icebird: every event has its own id')
const verbs = {}
for (const e of events) verbs[e._verb] = (verbs[e._verb] ?? 0) + 1
is(verbs.created, 3003, 'icebird: created events')
is(verbs.deleted, verbs.created - expected.length, 'icebird: deleted events')
done()
