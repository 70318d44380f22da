// Times DuckDB itself on the data files of an Iceberg table, in milliseconds:
//   node duckdb.mjs METADATA_LOCATION RUNS THREADS SQL      (FILES in SQL stands for the list)
// Prints the median of the runs after one to warm up.
import { DuckDBInstance } from '@duckdb/node-api'
import { openTable, readFiles } from './lib/iceberg.mjs'

const [location, runs, threads, sql] = process.argv.slice(2)
const files = await readFiles(await openTable(location))
if (files.deletes.length > 0) throw new Error('the table has delete files: the plain files are not its rows')
const list = files.data.map(e => `'${e.data_file.file_path.replace(/^file:(\/\/)?/, '').replaceAll("'", "''")}'`)

const instance = await DuckDBInstance.create(':memory:', { threads })
const connection = await instance.connect()
const statement = sql.replace('FILES', `read_parquet([${list.join(', ')}])`)
const times = []
for (let run = 0; run <= Number(runs); run++) {
  const started = performance.now()
  await (await connection.runAndReadAll(statement)).getRows()
  if (run > 0) times.push(performance.now() - started)
}
times.sort((a, b) => a - b)
console.log(times[Math.floor(times.length / 2)].toFixed(2))
