// Arrays and composites, custom events, and a table whose columns changed, read
// by icebird and by DuckDB: the rows must be those of the live table.
import { DuckDBInstance } from '@duckdb/node-api'
import { done, is, json, ok, sql, value } from './lib/tap.mjs'
import { localPath, openTable, readFiles, readRows } from './lib/iceberg.mjs'

sql(`
  CREATE EXTENSION shard;
  SELECT shard.create_router('nested', 'consistent-hash', 3, partition_key => '{k}');
  CREATE TYPE address AS (street text, "No" int, tags text[]);
  CREATE TABLE people (k text, id bigint, ints int[], texts text[], home address, others address[],
    gone int, was int, PRIMARY KEY (k, id));
  SELECT shard.distribute_table('people', 'nested');
  INSERT INTO people VALUES
    ('a', 1, '{1,NULL,3}', '{"","x y",NULL,"ü"}', row('Main', 5, '{p,q}'),
     ARRAY[row('s', 1, '{}')::address, NULL, row(NULL, NULL, NULL)::address], 7, 1),
    ('b', 2, '{}', '{}', row(NULL, 1, NULL), '{}', 7, 2),
    ('c', 3, NULL, NULL, NULL, NULL, 7, 3);
  INSERT INTO people (k, id, ints, was)
    SELECT 'k' || x % 17, x, (SELECT array_agg(y) FROM generate_series(1, x % 5) y), x FROM generate_series(100, 3099) x;
  SELECT shard.flush();
  ALTER TABLE people DROP COLUMN gone;
  ALTER TABLE people RENAME COLUMN was TO now;
  ALTER TABLE people ADD COLUMN extra text DEFAULT 'default';
  ALTER TABLE people ALTER COLUMN now TYPE bigint;
  UPDATE people SET ints = ints || 9 WHERE id % 3 = 0;
  DELETE FROM people WHERE id % 10 = 0;
  SELECT shard.emit('nested', 'paid', 'orders', '{"a": [1, "x"]}', 'k1', 'payment-1');
  SELECT shard.emit('nested', 'paid', 'orders', '{"a": 2}', NULL, 'payment-1');
  SELECT shard.flush();
  ALTER TABLE people ALTER COLUMN now TYPE text USING 'n' || now;
  UPDATE people SET home.street = 'New' WHERE id = 1;
  SELECT shard.flush()`)

const location = (name, namespace = 'public') => value(`SELECT metadata_location FROM iceberg_tables
  WHERE table_name = '${name}' AND table_namespace = '${namespace}'`)
const plain = v => typeof v === 'bigint' ? Number(v) : Array.isArray(v) ? v.map(plain)
  : v && typeof v === 'object' ? Object.fromEntries(Object.entries(v).map(([key, e]) => [key, plain(e)])) : v ?? null

// ---- the metadata ----

const state = await openTable(location('people'))
const { schemas, 'current-schema-id': current, 'last-column-id': last } = state.metadata
const schema = schemas.find(s => s['schema-id'] === current)
ok(schemas.length > 1, 'the schema has a history')
const ids = fields => fields.flatMap(function walk(f) {
  const type = f.type ?? f
  if (typeof type === 'string') return f.id ? [f.id] : []
  const below = type.type === 'list' ? [type['element-id'], ...walk({ type: type.element })] : type.fields.flatMap(walk)
  return [...f.id ? [f.id] : [], ...below]
})
const all = ids(schema.fields)
is(new Set(all).size, all.length, 'every field has an id of its own')
ok(Math.max(...all) <= last, 'last-column-id is not below any id')
const field = name => schema.fields.find(f => f.name === name)
is([field('ints').type.type, field('ints').type.element, field('home').type.type, field('others').type.element.type],
  ['list', 'int', 'struct', 'struct'], 'lists and structs')
is([field('gone'), field('was'), field('now').type, field('extra').type], [undefined, undefined, 'string', 'string'],
  'dropped, renamed, changed, added')
const before = schemas[0].fields.find(f => f.name === 'ints')
is([before.id, before.type['element-id']], [field('ints').id, field('ints').type['element-id']], 'ids are stable')

// ---- icebird ----

const expected = json(`SELECT json_agg(json_build_array(k, id, ints, now, extra) ORDER BY id) FROM people`)
const rows = (await readRows(state)).sort((a, b) => Number(a.id - b.id))
is(rows.map(r => plain([r.k, r.id, r.ints, r.now, r.extra])), expected, 'icebird: arrays and changed columns of all rows')
const nested = json(`SELECT json_agg(json_build_object('texts', texts, 'home', home, 'others', others) ORDER BY id)
  FROM people WHERE id < 4`)
is(rows.filter(r => r.id < 4n).map(r => plain({ texts: r.texts, home: r.home, others: r.others })), nested,
  'icebird: composites and arrays of them')

// ---- DuckDB on the files that the manifests name ----

const files = await readFiles(state)
const duck = await (await DuckDBInstance.create(':memory:')).connect()
const duckRows = async query => (await duck.runAndReadAll(query)).getRowsJson()
for (const [index, { data_file: f }] of files.data.entries()) {
  const found = await duckRows(`SELECT name, field_id FROM parquet_schema('${localPath(f.file_path)}')
    WHERE field_id IS NOT NULL`)
  const known = new Set(ids(schemas.flatMap(s => s.fields)))
  is(found.filter(r => !known.has(Number(r[1]))), [], `data file ${index + 1}: its field ids are the schemas'`)
}
const newest = files.data.map(f => `'${localPath(f.data_file.file_path)}'`).join(', ')
is(String((await duckRows(`SELECT count(*) FROM read_parquet([${newest}], union_by_name = true) WHERE id = 1
  AND home.street = 'New' AND home.tags = ['p', 'q'] AND ints = [1, NULL, 3] AND others[1].street = 's'`))[0][0]), '1',
  'DuckDB: lists and structs')

// ---- custom events ----

const events = await readRows(await openTable(location('nested_events', 'shard')))
is(events.map(e => [e._event_id, e._verb, e.store, e._key, e.payload]),
  [['payment-1', 'paid', 'orders', 'k1', '{"a": [1, "x"]}']], 'icebird: custom events')
const log = await readRows(await openTable(location('people_events')))
is(new Set(log.map(e => e._event_id)).size, log.length, 'icebird: every event has its own id')
is(log.filter(e => e.id === 1n).length > 1, true, 'icebird: the event log has the history of a row')
done()
