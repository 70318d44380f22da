// Times DuckDB itself on the data files of Iceberg tables, in milliseconds:
//   node queries.mjs JSON      {"tables": {name: metadata location}, "queries": [...], "runs": n, "threads": "n"}
// Prints a line for each query: the median of the runs after one to warm up.
import { readFileSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import { openTable, readFiles } from './lib/iceberg.mjs'

const { tables, queries, runs, threads } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const instance = await DuckDBInstance.create(':memory:', { threads })
const connection = await instance.connect()
for (const [name, location] of Object.entries(tables)) {
  const table = await openTable(location)
  const files = await readFiles(table)
  if (files.deletes.length > 0) throw new Error(`${name} has delete files: the plain files are not its rows`)
  const list = files.data.map(e => `'${e.data_file.file_path.replace(/^file:(\/\/)?/, '').replaceAll("'", "''")}'`)
  await connection.run(`CREATE VIEW ${name} AS SELECT * FROM read_parquet([${list.join(', ')}])`)
}
for (const query of queries) {
  const times = []
  for (let run = 0; run <= runs; run++) {
    const started = performance.now()
    await (await connection.runAndReadAll(query)).getRows()
    if (run > 0) times.push(performance.now() - started)
  }
  times.sort((a, b) => a - b)
  console.log(times[Math.floor(times.length / 2)].toFixed(2))
}
