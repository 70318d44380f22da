// What happens to a table over time, as icebird sees it after each step: added,
// renamed and widened columns, deletes, TRUNCATE, and many small commits.
import { done, is, json, ok, sql, value } from './lib/tap.mjs'
import { openTable, readFiles, readRows } from './lib/iceberg.mjs'

for (const statement of [
  'CREATE EXTENSION shard',
  `SELECT shard.create_router('history', 'hash', 2, partition_key => '{k}')`,
  'CREATE TABLE steps (k text, id bigint, n int, PRIMARY KEY (k, id))',
  `SELECT shard.distribute_table('steps', 'history')`
]) sql(statement)

const state = () => openTable(value(`SELECT metadata_location FROM iceberg_tables WHERE table_name = 'steps'`))
const plain = v => v === null || v === undefined ? null : typeof v === 'string' ? v : Number(v)

// icebird's rows and PostgreSQL's must be the same, in all columns.
async function same (name) {
  sql('SELECT shard.flush()')
  const table = await state()
  const columns = sql(`SELECT attname FROM pg_attribute WHERE attrelid = 'steps'::regclass AND attnum > 0
    AND NOT attisdropped ORDER BY attnum`).map(r => r[0])
  const rows = (await readRows(table)).map(r => columns.map(c => plain(r[c])))
  rows.sort((a, b) => a[1] - b[1])
  is(rows, json(`SELECT coalesce(json_agg(json_build_array(${columns.map(c => `"${c}"`).join(', ')}) ORDER BY id), '[]')
    FROM steps`), name)
  return table
}

await same('an empty table')
sql(`INSERT INTO steps SELECT 'k' || i % 7, i, i FROM generate_series(1, 200) i`)
await same('rows')
sql('ALTER TABLE steps ADD COLUMN note text')
sql(`INSERT INTO steps SELECT 'k' || i % 7, i, i, 'note ' || i FROM generate_series(201, 220) i`)
await same('an added column')
sql('ALTER TABLE steps RENAME COLUMN n TO number')
sql(`UPDATE steps SET number = -number WHERE id % 5 = 0`)
const renamed = await same('a renamed column, and updates')
ok((await readFiles(renamed)).deletes.length > 0, 'updates have made position deletes')
ok(renamed.metadata.schemas.length > 1, 'the table has several schemas')
sql('DELETE FROM steps WHERE id % 3 = 0')
await same('deletes')
sql('TRUNCATE steps')
const truncated = await same('TRUNCATE')
is((await readFiles(truncated)).data.length, 0, 'no file is left after TRUNCATE')

for (let i = 1; i <= 12; i++) {
  sql(`INSERT INTO steps VALUES ('k${i % 3}', ${i}, ${i}, 'again')`)
  sql('SELECT shard.flush()')
}
const last = await same('after TRUNCATE and many small commits')
const snapshots = last.metadata.snapshots
is(snapshots.map(s => s['sequence-number']).every((n, i) => i === 0 || n > snapshots[i - 1]['sequence-number']), true,
  'sequence numbers grow')
is(Number(snapshots.at(-1).summary['total-records']), 12, 'the last snapshot counts all rows')
is(last.metadata['last-sequence-number'], snapshots.at(-1)['sequence-number'], 'last-sequence-number is the last one')
is(last.metadata['metadata-log'].length > 0, true, 'earlier metadata files are in the log')

done()
