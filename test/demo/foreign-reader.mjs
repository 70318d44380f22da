// Reads an Iceberg table without this extension and prints, for each value of
// the first column, the number of rows and the sum of the second:
//   node foreign-reader.mjs METADATA_LOCATION GROUP_COLUMN SUM_COLUMN
import { openTable, readFiles, readRows } from './lib/iceberg.mjs'

const [location, groupColumn, sumColumn] = process.argv.slice(2)
const table = await openTable(location)
const files = await readFiles(table)
const deleted = files.deletes.reduce((n, e) => n + Number(e.data_file.record_count), 0)
console.error(`format version ${table.metadata['format-version']}, ${table.metadata.snapshots.length} snapshots, ` +
  `${files.data.length} data files, ${files.deletes.length} delete files with ${deleted} positions`)

const groups = new Map()
for (const row of await readRows(table, [groupColumn, sumColumn])) {
  const group = groups.get(row[groupColumn]) ?? { rows: 0, sum: 0n }
  group.rows++
  group.sum += row[sumColumn] ?? 0n
  groups.set(row[groupColumn], group)
}
for (const key of [...groups.keys()].sort()) {
  console.log(`${key}|${groups.get(key).rows}|${groups.get(key).sum}`)
}
