// Compacted and partitioned tables, as icebird and DuckDB see them: rows, partition
// values against a computation of our own, summaries of the manifest list, and
// history after compaction.
import { DuckDBInstance } from '@duckdb/node-api'
import { icebergManifests } from 'icebird'
import { done, is, json, ok, sql, value } from './lib/tap.mjs'
import { localPath, openTable, readFiles, readRows } from './lib/iceberg.mjs'

for (const statement of [
  'CREATE EXTENSION shard',
  `SELECT shard.create_router('parts', 'hash', 2, partition_key => '{id}')`,
  `CREATE TABLE parts (id bigint PRIMARY KEY, at timestamp, d date, name text, n int)`,
  `SELECT shard.distribute_table('parts', 'parts',
     lake_options => '{"partition": ["day(at)", "bucket(3, name)"], "sort": ["at"]}')`
]) sql(statement)

const state = () => openTable(value(`SELECT metadata_location FROM iceberg_tables WHERE table_name = 'parts'`))
const duckdb = await (await DuckDBInstance.create()).connect()

// Rows of id, day, name and number, as icebird and PostgreSQL have them.
async function same (name) {
  sql('SELECT shard.flush()')
  const table = await state()
  const rows = (await readRows(table)).map(r => [Number(r.id), r.at === null ? null : new Date(r.at).toISOString().slice(0, 19), r.name, r.n])
  rows.sort((a, b) => a[0] - b[0])
  is(rows, json(`SELECT json_agg(json_build_array(id, to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS'), name, n) ORDER BY id) FROM parts`), name)
  return table
}

// 32-bit Murmur3 of a string, from its definition.
function murmur3 (text) {
  const bytes = Buffer.from(text)
  const rotate = (x, n) => (x << n) | (x >>> (32 - n))
  const scramble = k => Math.imul(rotate(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593)
  let h = 0
  let i = 0
  for (; i + 4 <= bytes.length; i += 4) h = (Math.imul(rotate(h ^ scramble(bytes.readInt32LE(i)), 13), 5) + 0xe6546b64) | 0
  let rest = 0
  for (let j = bytes.length - 1; j >= i; j--) rest = (rest << 8) | bytes[j]
  h ^= scramble(rest) ^ bytes.length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
is(murmur3('iceberg'), 1210000089, "the specification's hash of iceberg")

// Every row of every data file must have the file's partition values.
async function checkPartitions (table, name) {
  const { data } = await readFiles(table)
  let wrong = 0
  let rows = 0
  for (const { data_file: file } of data) {
    const result = await duckdb.runAndReadAll(
      `SELECT epoch_us("at")::BIGINT AS us, name FROM read_parquet('${localPath(file.file_path)}')`)
    for (const [us, text] of result.getRows()) {
      rows++
      const day = us === null ? null : Number(us / 86400000000n) - (us < 0n && us % 86400000000n !== 0n ? 1 : 0)
      const bucket = text === null ? null : (murmur3(text) & 0x7fffffff) % 3
      const has = file.partition.at_day
      const hasDay = has === null || has === undefined ? null : has instanceof Date ? Math.floor(has / 86400000) : Number(has)
      const hasBucket = file.partition.name_bucket ?? null
      if (hasDay !== day || hasBucket !== bucket) wrong++
    }
  }
  is(wrong, 0, name)
  return rows
}

sql(`INSERT INTO parts SELECT i, '1969-12-30'::timestamp + i * interval '5 hours', '2024-01-01'::date + i, 'name ' || i, i
  FROM generate_series(1, 60) i`)
sql(`INSERT INTO parts VALUES (100, NULL, NULL, NULL, NULL)`)
let table = await same('a partitioned table')
is(await checkPartitions(table, 'each file holds rows of its partition only'), 61, 'all rows are in some file')
ok((await icebergManifests(table.metadata)).length > 0, 'manifests are read')

for (let i = 1; i <= 8; i++) {
  sql(`UPDATE parts SET n = n + 1000 WHERE id % 8 = ${i % 8}; DELETE FROM parts WHERE id = ${i * 7};
    INSERT INTO parts VALUES (${1000 + i}, '1970-01-02'::timestamp + ${i} * interval '1 hour', NULL, 'new', ${i})`)
  sql('SELECT shard.flush()')
}
table = await same('updates and deletes of a partitioned table')
await checkPartitions(table, 'new files, too')
for (const { data_file: file } of (await readFiles(table)).deletes) {
  ok(file.partition !== undefined && 'at_day' in file.partition, 'a delete file belongs to a partition')
  break
}

sql(`SELECT shard.compact('parts')`)
table = await same('a compacted table')
is((await readFiles(table)).deletes.length, 0, 'compaction leaves no deletes')
const live = await checkPartitions(table, 'compacted files are of one partition each')
is(live, Number(value('SELECT count(*) FROM parts')), 'and hold the live rows only')
const last = table.metadata.snapshots.at(-1)
is([last.summary.operation, Number(last.summary['total-records']), Number(last.summary['total-delete-files'])],
  ['replace', live, 0], 'the snapshot counts right')
ok('shard.lsn' in last.summary, 'and tells the position')

sql(`SELECT shard.alter_lake_options('parts', '{"partition": ["truncate(6, name)"]}')`)
sql(`INSERT INTO parts SELECT i, '2024-01-01', NULL, 'other ' || i, i FROM generate_series(2000, 2020) i; UPDATE parts SET n = 0 WHERE id % 9 = 0`)
table = await same('partitions of two specs')
is(new Set((await readFiles(table)).data.map(e => Object.keys(e.data_file.partition).join())).size, 2, 'are in the table')
is(table.metadata['partition-specs'].length, 2, 'which knows both')
ok(table.metadata['last-partition-id'] === 1002, 'field ids go on')
sql(`SELECT shard.compact('parts', true); SELECT shard.expire_snapshots('parts', '0 s')`)
table = await same('one spec after compaction, one snapshot after expiry')
is(table.metadata.snapshots.length, 1, 'one snapshot')
is(new Set((await readFiles(table)).data.map(e => Object.keys(e.data_file.partition).join())).size, 1, 'one spec')

done()
