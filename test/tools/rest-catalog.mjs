// A small Iceberg REST catalog for tests, after the specification: real
// requirement checks, tokens that expire, and faults on demand.
//
//   node rest-catalog.mjs PORT WAREHOUSE [FILES_ENDPOINT]
//
// WAREHOUSE is s3://bucket/prefix (S3_ENDPOINT, S3_KEY, S3_SECRET) or a local
// folder.  With FILES_ENDPOINT, tables come with credentials for it.  Clients are
// "client:s3cret"; tokens live for TOKEN_SECONDS (3600).  For tests:
//   POST /__fault?mode=MODE&count=N&method=M&path=TEXT   the next N such requests are answered by
//        a status ("409"), by one after they were carried out ("after-500"), or not at all after
//        that ("after-drop"); "half" carries out the first table of a transaction only
//   POST /__together?on=0 changes of several tables at once are not offered (1: they are)
//   POST /__expire        no token given out so far is good any more
//   GET  /__requests      what was asked since the last call
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { s3Fetch } from './s3.mjs'

const [port, warehouse, filesEndpoint] = process.argv.slice(2)
const PREFIX = 'main'
const TRANSACTIONS = 'POST /v1/{prefix}/transactions/commit'
const ENDPOINTS = [
  ...['GET', 'POST'].map(m => `${m} /v1/{prefix}/namespaces`),
  ...['GET', 'DELETE'].map(m => `${m} /v1/{prefix}/namespaces/{namespace}`),
  'POST /v1/{prefix}/namespaces/{namespace}/properties',
  ...['GET', 'POST'].map(m => `${m} /v1/{prefix}/namespaces/{namespace}/tables`),
  ...['GET', 'HEAD', 'POST', 'DELETE'].map(m => `${m} /v1/{prefix}/namespaces/{namespace}/tables/{table}`),
  'POST /v1/{prefix}/namespaces/{namespace}/register', 'POST /v1/{prefix}/tables/rename', TRANSACTIONS,
]
const namespaces = new Map()          // joined by \x1f → properties
const tables = new Map()              // namespace \x1f\x1f name → { location, metadata }
let tokens = new Set()
let fault = { count: 0 }
let requests = []
let together = true                   // is the endpoint for several tables there?

class Problem extends Error {
  constructor (status, type, message) {
    super(message)
    this.status = status
    this.type = type
  }
}

// ---- files ----

async function readFile (location) {
  if (!location.startsWith('s3')) return fs.readFileSync(location.replace(/^file:(\/\/)?/, ''), 'utf8')
  const answer = await s3Fetch('GET', location)
  if (!answer.ok) throw new Problem(400, 'BadRequestException', `no file ${location}`)
  return answer.text()
}

async function writeFile (location, text) {
  if (location.startsWith('s3')) {
    const answer = await s3Fetch('PUT', location, { body: text })
    if (!answer.ok) throw new Problem(500, 'ServiceFailureException', `cannot write ${location}`)
    return
  }
  const file = location.replace(/^file:(\/\/)?/, '')
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
}

// Metadata hold numbers that JavaScript cannot: snapshot ids pass as they are spelled.
const parse = text => JSON.parse(text.replace(/([[:,]\s*)(-?\d{16,})(?=\s*[,\]}])/g, '$1"\\u0001$2"'))
const format = value => JSON.stringify(value).replace(/"\\u0001(-?\d+)"/g, '$1')

// ---- tables ----

const keyOf = (namespace, name) => `${namespace}\x1f\x1f${name}`

function tableOf (namespace, name) {
  const table = tables.get(keyOf(namespace, name))
  if (!table) throw new Problem(404, 'NoSuchTableException', `Table does not exist: ${namespace.replaceAll('\x1f', '.')}.${name}`)
  return table
}

async function writeMetadata (table, metadata) {
  const version = table ? Number(/\/(\d+)-[^/]*$/.exec(table.location)?.[1] ?? -1) + 1 : 0
  const location = `${metadata.location}/metadata/${String(version).padStart(5, '0')}-${crypto.randomUUID()}.metadata.json`
  await writeFile(location, format(metadata))
  return { location, metadata }
}

function answerTable (table) {
  const config = {}
  if (filesEndpoint) {
    Object.assign(config, {
      's3.endpoint': filesEndpoint, 's3.path-style-access': 'true', 'client.region': 'us-east-1',
      's3.access-key-id': process.env.S3_KEY, 's3.secret-access-key': process.env.S3_SECRET,
    })
  }
  return { 'metadata-location': table.location, metadata: table.metadata, config }
}

function emptyMetadata () {
  return {
    'format-version': 2, 'table-uuid': crypto.randomUUID(), location: '', 'last-sequence-number': 0,
    'last-updated-ms': Date.now(), 'last-column-id': 0, schemas: [], 'current-schema-id': -1,
    'partition-specs': [], 'default-spec-id': -1, 'last-partition-id': 999, 'sort-orders': [],
    'default-sort-order-id': -1, properties: {}, snapshots: [], refs: {}, 'snapshot-log': [], 'metadata-log': [],
  }
}

function check (requirement, table) {
  const metadata = table?.metadata
  const conflict = (what, expected, found) => {
    if (String(expected ?? null) !== String(found ?? null)) {
      throw new Problem(409, 'CommitFailedException', `Requirement failed: ${what} changed: expected ${expected} != ${found}`)
    }
  }
  if (requirement.type === 'assert-create') {
    if (table) throw new Problem(409, 'CommitFailedException', 'Requirement failed: table already exists')
    return
  }
  if (!table) throw new Problem(404, 'NoSuchTableException', 'Table does not exist')
  switch (requirement.type) {
    case 'assert-table-uuid': return conflict('UUID', requirement.uuid, metadata['table-uuid'])
    case 'assert-ref-snapshot-id': return conflict(`ref ${requirement.ref}`, requirement['snapshot-id'], metadata.refs[requirement.ref]?.['snapshot-id'])
    case 'assert-last-assigned-field-id': return conflict('last field id', requirement['last-assigned-field-id'], metadata['last-column-id'])
    case 'assert-current-schema-id': return conflict('schema', requirement['current-schema-id'], metadata['current-schema-id'])
    case 'assert-default-spec-id': return conflict('spec', requirement['default-spec-id'], metadata['default-spec-id'])
    case 'assert-default-sort-order-id': return conflict('sort order', requirement['default-sort-order-id'], metadata['default-sort-order-id'])
    default: throw new Problem(400, 'BadRequestException', `unknown requirement ${requirement.type}`)
  }
}

const last = list => list[list.length - 1]
const maxField = fields => Math.max(0, ...fields.map(f => Math.max(f.id, maxField(f.type?.fields ?? []))))

function update (metadata, change) {
  switch (change.action) {
    case 'assign-uuid': metadata['table-uuid'] = change.uuid; break
    case 'upgrade-format-version': metadata['format-version'] = change['format-version']; break
    case 'set-location': metadata.location = change.location; break
    case 'set-properties': Object.assign(metadata.properties, change.updates); break
    case 'remove-properties': for (const key of change.removals) delete metadata.properties[key]; break
    case 'add-schema':
      metadata.schemas.push(change.schema)
      metadata['last-column-id'] = Math.max(metadata['last-column-id'], change['last-column-id'] ?? 0, maxField(change.schema.fields))
      break
    case 'set-current-schema':
      metadata['current-schema-id'] = change['schema-id'] === -1 ? last(metadata.schemas)['schema-id'] : change['schema-id']
      break
    case 'add-spec':
      metadata['partition-specs'].push(change.spec)
      metadata['last-partition-id'] = Math.max(metadata['last-partition-id'], ...change.spec.fields.map(f => f['field-id']))
      break
    case 'set-default-spec':
      metadata['default-spec-id'] = change['spec-id'] === -1 ? last(metadata['partition-specs'])['spec-id'] : change['spec-id']
      break
    case 'add-sort-order': metadata['sort-orders'].push(change['sort-order']); break
    case 'set-default-sort-order':
      metadata['default-sort-order-id'] = change['sort-order-id'] === -1 ? last(metadata['sort-orders'])['order-id'] : change['sort-order-id']
      break
    case 'add-snapshot':
      if (metadata.snapshots.some(s => String(s['snapshot-id']) === String(change.snapshot['snapshot-id']))) {
        throw new Problem(400, 'BadRequestException', 'snapshot id is there already')
      }
      if (change.snapshot['sequence-number'] <= metadata['last-sequence-number']) {
        throw new Problem(400, 'BadRequestException', 'sequence number is not new')
      }
      metadata.snapshots.push(change.snapshot)
      metadata['last-sequence-number'] = change.snapshot['sequence-number']
      break
    case 'set-snapshot-ref': {
      const id = change['snapshot-id']
      if (!metadata.snapshots.some(s => String(s['snapshot-id']) === String(id))) {
        throw new Problem(400, 'BadRequestException', `no snapshot ${id}`)
      }
      metadata.refs[change['ref-name']] = { 'snapshot-id': id, type: change.type }
      if (change['ref-name'] === 'main') {
        metadata['current-snapshot-id'] = id
        metadata['snapshot-log'].push({ 'timestamp-ms': Date.now(), 'snapshot-id': id })
      }
      break
    }
    case 'remove-snapshots': {
      const gone = new Set(change['snapshot-ids'].map(String))
      metadata.snapshots = metadata.snapshots.filter(s => !gone.has(String(s['snapshot-id'])))
      metadata['snapshot-log'] = metadata['snapshot-log'].filter(s => !gone.has(String(s['snapshot-id'])))
      break
    }
    case 'remove-snapshot-ref': delete metadata.refs[change['ref-name']]; break
    default: throw new Problem(400, 'BadRequestException', `unknown update ${change.action}`)
  }
}

// The metadata that a commit leads to; nothing is changed yet.
function apply (table, { requirements = [], updates = [] }) {
  for (const requirement of requirements) check(requirement, table)
  const metadata = table ? structuredClone(table.metadata) : emptyMetadata()
  if (table) metadata['metadata-log'].push({ 'timestamp-ms': metadata['last-updated-ms'], 'metadata-file': table.location })
  for (const change of updates) update(metadata, change)
  metadata['last-updated-ms'] = Date.now()
  return metadata
}

async function create (namespace, body) {
  if (tables.has(keyOf(namespace, body.name))) throw new Problem(409, 'AlreadyExistsException', `Table already exists: ${body.name}`)
  const metadata = emptyMetadata()
  metadata.location = body.location ?? `${warehouse}/${namespace.replaceAll('\x1f', '/')}/${body.name}-${metadata['table-uuid'].slice(0, 8)}`
  update(metadata, { action: 'add-schema', schema: { ...body.schema, 'schema-id': 0 } })
  update(metadata, { action: 'set-current-schema', 'schema-id': -1 })
  update(metadata, { action: 'add-spec', spec: body['partition-spec'] ?? { 'spec-id': 0, fields: [] } })
  update(metadata, { action: 'set-default-spec', 'spec-id': -1 })
  update(metadata, { action: 'add-sort-order', 'sort-order': body['write-order'] ?? { 'order-id': 0, fields: [] } })
  update(metadata, { action: 'set-default-sort-order', 'sort-order-id': -1 })
  metadata.properties = body.properties ?? {}
  if (body['stage-create']) return { ...answerTable({ metadata }), 'metadata-location': null }
  const table = await writeMetadata(undefined, metadata)
  tables.set(keyOf(namespace, body.name), table)
  return answerTable(table)
}

const namesIn = namespace => [...tables.keys()].filter(k => k.startsWith(namespace + '\x1f\x1f')).map(k => k.slice(namespace.length + 2))

// ---- requests ----

function namespaceOf (part) {
  if (!namespaces.has(part)) throw new Problem(404, 'NoSuchNamespaceException', `Namespace does not exist: ${part.replaceAll('\x1f', '.')}`)
  return part
}

async function tableRequest (method, namespace, name, body) {
  switch (method) {
    case 'GET': return answerTable(tableOf(namespace, name))
    case 'HEAD': tableOf(namespace, name); return undefined
    case 'DELETE': tableOf(namespace, name); tables.delete(keyOf(namespace, name)); return undefined
    case 'POST': {
      const table = tables.get(keyOf(namespace, name))
      const next = await writeMetadata(table, apply(table, body))
      tables.set(keyOf(namespace, name), next)
      return answerTable(next)
    }
  }
  throw new Problem(405, 'UnsupportedOperationException', method)
}

async function register (namespace, body) {
  if (tables.has(keyOf(namespace, body.name))) throw new Problem(409, 'AlreadyExistsException', 'Table already exists')
  const table = { location: body['metadata-location'], metadata: parse(await readFile(body['metadata-location'])) }
  tables.set(keyOf(namespace, body.name), table)
  return answerTable(table)
}

// Changes of several tables: all are checked and written before any is there.
async function transaction ({ 'table-changes': changes }, half) {
  const next = []
  for (const change of changes) {
    const key = keyOf(change.identifier.namespace.join('\x1f'), change.identifier.name)
    next.push([key, await writeMetadata(tables.get(key), apply(tables.get(key), change))])
    if (half) break
  }
  for (const [key, table] of next) tables.set(key, table)
  if (half) throw new Problem(500, 'CommitStateUnknownException', 'made up')
}

async function namespaceRequest (method, rest, body) {
  if (rest.length === 0) {
    if (method === 'GET') return { namespaces: [...namespaces.keys()].map(n => n.split('\x1f')) }
    const name = body.namespace.join('\x1f')
    if (namespaces.has(name)) throw new Problem(409, 'AlreadyExistsException', 'Namespace already exists')
    namespaces.set(name, body.properties ?? {})
    return body
  }
  const [namespace, what, name] = [namespaceOf(rest[0]), rest[1], rest[2]]
  if (what === undefined) {
    if (method === 'DELETE') namespaces.delete(namespace)
    return method === 'GET' ? { namespace: namespace.split('\x1f'), properties: namespaces.get(namespace) } : undefined
  }
  if (what === 'properties') {
    Object.assign(namespaces.get(namespace), body.updates)
    return { updated: Object.keys(body.updates ?? {}), removed: [], missing: [] }
  }
  if (what === 'register') return register(namespace, body)
  if (name !== undefined) return tableRequest(method, namespace, name, body)
  if (method === 'POST') return create(namespace, body)
  return { identifiers: namesIn(namespace).map(n => ({ namespace: namespace.split('\x1f'), name: n })) }
}

function giveToken (form) {
  if (form.get('client_id') !== 'client' || form.get('client_secret') !== 's3cret') {
    throw new Problem(401, 'NotAuthorizedException', 'invalid client')
  }
  const token = crypto.randomUUID()
  tokens.add(token)
  return { access_token: token, token_type: 'bearer', expires_in: Number(process.env.TOKEN_SECONDS ?? 3600) }
}

async function handle (method, url, headers, text, mode) {
  if (url.pathname === '/v1/oauth/tokens') return giveToken(new URLSearchParams(text))
  const bearer = /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1]
  if (bearer !== 'fixed-token' && !tokens.has(bearer)) throw new Problem(401, 'NotAuthorizedException', 'no good token')
  if (url.pathname === '/v1/config') {
    if (url.searchParams.get('warehouse') !== 'demo') throw new Problem(404, 'NotFoundException', 'no such warehouse')
    return { defaults: {}, overrides: { prefix: PREFIX }, endpoints: ENDPOINTS.filter(e => together || e !== TRANSACTIONS) }
  }
  const parts = url.pathname.split('/').slice(1).map(decodeURIComponent)
  const body = text === '' ? {} : parse(text)
  if (parts[0] !== 'v1' || parts[1] !== PREFIX) throw new Problem(404, 'NotFoundException', 'no such path')
  if (parts[2] === 'namespaces') return namespaceRequest(method, parts.slice(3), body)
  if (parts[2] === 'transactions' && together) return transaction(body, mode === 'half')
  if (parts[2] === 'tables' && parts[3] === 'rename') {
    const [from, to] = [body.source, body.destination].map(i => keyOf(i.namespace.join('\x1f'), i.name))
    tables.set(to, tables.get(from))
    tables.delete(from)
    return undefined
  }
  throw new Problem(404, 'NotFoundException', 'no such path')
}

// ---- the server ----

function control (request, response) {
  const url = new URL(request.url, 'http://localhost')
  if (url.pathname === '/__requests') {
    response.end(JSON.stringify(requests))
    requests = []
    return
  }
  if (url.pathname === '/__expire') tokens = new Set()
  else if (url.pathname === '/__together') together = url.searchParams.get('on') === '1'
  else {
    const { mode, count, method, path } = Object.fromEntries(url.searchParams)
    fault = { mode, count: count === undefined ? Infinity : Number(count), method, path }
  }
  response.end()
}

function takeFault (request) {
  if (!fault.mode || fault.mode === 'none' || fault.count === 0 || (fault.method && fault.method !== request.method) ||
    (fault.path && !request.url.includes(fault.path))) return ''
  fault.count--
  return fault.mode
}

function answer (response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(body === undefined ? '' : format(body))
}

const problem = (response, status, type, message) => answer(response, status, { error: { message, type, code: status } })

let queue = Promise.resolve()

http.createServer((request, response) => {
  const parts = []
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    if (request.url.startsWith('/__')) return control(request, response)
    const mode = takeFault(request)
    requests.push({ method: request.method, url: request.url, mode })
    if (/^\d+$/.test(mode)) return problem(response, Number(mode), 'MadeUpException', 'made up')
    // one after the other, as a catalog's transactions are
    queue = queue.then(async () => {
      let status = 200
      let body
      try {
        body = await handle(request.method, new URL(request.url, 'http://localhost'), request.headers, Buffer.concat(parts).toString(), mode)
        if (body === undefined) status = 204
      } catch (error) {
        status = error.status ?? 500
        body = { error: { message: error.message, type: error.type ?? 'InternalServerError', code: status } }
        if (!error.status) console.error(error)
      }
      if (mode === 'after-drop') return response.socket.destroy()
      if (mode.startsWith('after-')) return problem(response, Number(mode.slice(6)), 'MadeUpException', 'made up')
      answer(response, status, body)
    })
  })
}).listen(Number(port), '127.0.0.1', () => console.log('ready'))
