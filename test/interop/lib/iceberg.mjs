// Iceberg tables in local folders, read by icebird and hyparquet: a reader that
// shares no code with this extension.
import fs from 'node:fs'
import path from 'node:path'
import { icebergManifests, icebergMetadata, icebergRead } from 'icebird'

export const localPath = url => String(url).replace(/^file:(\/\/)?/, '')

// icebird fetches by URL: let it fetch local files, with ranges.
globalThis.fetch = async (url, init = {}) => {
  const file = localPath(url)
  const size = fs.statSync(file).size
  const headers = new Headers(init.headers)
  const range = /^bytes=(\d*)-(\d*)$/.exec(headers.get('range') ?? '')
  if (init.method === 'HEAD') {
    return new Response(null, { status: 200, headers: { 'content-length': String(size), 'accept-ranges': 'bytes' } })
  }
  let start = 0
  let end = size - 1
  if (range) {
    start = range[1] === '' ? Math.max(0, size - Number(range[2])) : Number(range[1])
    if (range[1] !== '' && range[2] !== '') end = Math.min(end, Number(range[2]))
  }
  const buffer = Buffer.alloc(Math.max(0, end - start + 1))
  const fd = fs.openSync(file, 'r')
  fs.readSync(fd, buffer, 0, buffer.length, start)
  fs.closeSync(fd)
  return new Response(buffer, { status: range ? 206 : 200, headers: { 'content-length': String(buffer.length) } })
}

// Metadata of the table whose metadata file this is.
export async function openTable (metadataLocation) {
  const file = localPath(metadataLocation)
  const tableUrl = path.dirname(path.dirname(file))
  const metadata = await icebergMetadata({ tableUrl, metadataFileName: path.basename(file) })
  return { tableUrl, metadata }
}

// All rows, of the given columns or of all.
export async function readRows ({ tableUrl, metadata }, columns) {
  if (columns) {
    const schemas = metadata.schemas.map(s => ({ ...s, fields: s.fields.filter(f => columns.includes(f.name)) }))
    metadata = { ...metadata, schemas }
  }
  if (!(metadata['current-snapshot-id'] > 0)) return []
  const { data } = await readFiles({ metadata })
  return data.length > 0 ? icebergRead({ tableUrl, metadata }) : []
}

// Manifest entries of the current snapshot: data files and delete files.
export async function readFiles ({ metadata }) {
  const entries = (await icebergManifests(metadata)).flatMap(m => m.entries).filter(e => e.status !== 2)
  return {
    data: entries.filter(e => !e.data_file.content),
    deletes: entries.filter(e => e.data_file.content),
  }
}
