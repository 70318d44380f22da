// A proxy before an HTTP service that makes it misbehave, for tests.
//
//   node fault-proxy.mjs PORT TARGET_PORT [CERTIFICATE KEY]
//
// With a certificate and its key (files) it speaks TLS to its clients.
// It passes requests on, with their headers, and is told by requests of its own:
//   POST /__fault?mode=MODE&count=N&method=PUT&path=TEXT
//        the next N requests (default all) of that method whose path holds TEXT suffer MODE:
//          none         nothing
//          500, 503 …   that status, not passed on
//          after-500 …  that status, but passed on
//          drop         read, then the connection is closed
//          after-drop   passed on, then the connection is closed instead of an answer
//          hang         never answered
//          cut          half of the answer, then the connection is closed
//          skew         the service says that the client's clock is wrong, and an hour late
//   GET  /__requests  what was passed on since the last call: [{ method, url, range, signed, bytes }]
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'

const [port, target] = process.argv.slice(2, 4).map(Number)
const [certificate, key] = process.argv.slice(4)
let fault = { mode: 'none', count: 0 }
let requests = []

function takeFault (request) {
  if (fault.mode === 'none' || fault.count === 0) return 'none'
  if (fault.method && fault.method !== request.method) return 'none'
  if (fault.path && !request.url.includes(fault.path)) return 'none'
  fault.count--
  return fault.mode
}

function control (request, response) {
  const url = new URL(request.url, 'http://localhost')
  if (url.pathname === '/__requests') {
    response.end(JSON.stringify(requests))
    requests = []
    return
  }
  const { mode = 'none', count, method, path } = Object.fromEntries(url.searchParams)
  fault = { mode, count: count === undefined ? Infinity : Number(count), method, path }
  response.end()
}

const refuse = (response, status) => {
  response.writeHead(status, { 'content-type': 'application/xml' })
  response.end(`<?xml version="1.0"?><Error><Code>${status === 503 ? 'SlowDown' : 'InternalError'}</Code><Message>made up</Message></Error>`)
}

function answerSkewed (response) {
  response.writeHead(403, { date: new Date(Date.now() + 3600000).toUTCString(), 'content-type': 'application/xml' })
  response.end('<?xml version="1.0"?><Error><Code>RequestTimeTooSkewed</Code><Message>made up</Message></Error>')
}

function passOn (request, body, mode, response) {
  const entry = { method: request.method, url: request.url, range: request.headers.range, bytes: 0 }
  entry.signed = /SignedHeaders=([^,]*)/.exec(request.headers.authorization ?? '')?.[1]
  requests.push(entry)
  const onward = http.request({ host: '127.0.0.1', port: target, method: request.method, path: request.url, headers: request.headers, agent: false }, answer => {
    const parts = []
    answer.on('data', part => parts.push(part))
    answer.on('end', () => {
      const content = Buffer.concat(parts)
      entry.bytes = content.length
      if (mode === 'after-drop') return response.socket.destroy()
      if (mode.startsWith('after-')) return refuse(response, Number(mode.slice(6)))
      response.writeHead(answer.statusCode, answer.headers)
      if (mode === 'cut') {
        response.write(content.subarray(0, content.length / 2))
        return setImmediate(() => response.socket.destroy())
      }
      response.end(content)
    })
  })
  onward.on('error', () => response.socket.destroy())
  onward.end(body)
}

const listener = (request, response) => {
  const parts = []
  request.on('error', () => {})
  response.on('error', () => {})
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    if (request.url.startsWith('/__')) return control(request, response)
    const mode = takeFault(request)
    if (mode === 'hang') return
    if (mode === 'drop') return response.socket.destroy()
    if (mode === 'skew') return answerSkewed(response)
    if (/^\d+$/.test(mode)) return refuse(response, Number(mode))
    passOn(request, Buffer.concat(parts), mode, response)
  })
}

const server = certificate === undefined ? http.createServer(listener)
  : https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, listener)
server.listen(port, '127.0.0.1', () => console.log('ready'))
