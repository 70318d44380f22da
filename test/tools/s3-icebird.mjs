// Reads an Iceberg table in an object store with icebird: prints the number of
// rows and the sum of a column.
//
//   S3_ENDPOINT=... S3_KEY=... S3_SECRET=... node s3-icebird.mjs s3://…/x.metadata.json COLUMN
import { icebergMetadata, icebergRead } from 'icebird'
import { s3Fetch } from './s3.mjs'

// icebird makes an address of its own of an object's
const objectUrl = url => {
  if (String(url).startsWith('s3:')) return String(url)
  const { hostname, pathname } = new URL(url)
  return `s3://${hostname.split('.')[0]}${decodeURIComponent(pathname)}`
}

globalThis.fetch = (url, init = {}) => {
  const headers = new Headers(init.headers)
  const range = headers.get('range')
  return s3Fetch(init.method ?? 'GET', objectUrl(url), { headers: range ? { range } : {} })
}

const [location, column] = process.argv.slice(2)
const file = location.slice(location.lastIndexOf('/') + 1)
const tableUrl = location.replace(/\/metadata\/[^/]*$/, '')
const metadata = await icebergMetadata({ tableUrl, metadataFileName: file })
const rows = await icebergRead({ tableUrl, metadata })
process.stdout.write(`${rows.length} ${rows.reduce((sum, row) => sum + BigInt(row[column]), 0n)}`)
