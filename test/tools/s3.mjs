// A small S3 client for tests, which shares no code with the extension.
//
//   S3_ENDPOINT=http://127.0.0.1:9000 S3_KEY=... S3_SECRET=... node s3.mjs COMMAND
//     make-bucket s3://bucket
//     list s3://bucket/prefix        names of objects, one a line
//     get s3://bucket/key            to standard output
//     put s3://bucket/key            from standard input
//     remove s3://bucket/key
//     uploads s3://bucket            keys of unfinished uploads
//     session                        temporary credentials: key, secret and token, one a line
import crypto from 'node:crypto'
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'

const sha256 = data => crypto.createHash('sha256').update(data).digest('hex')
const hmac = (key, data) => crypto.createHmac('sha256', key).update(data).digest()
const encode = text => encodeURIComponent(text).replace(/[!'()*]/g, c => '%' + c.charCodeAt(0).toString(16).toUpperCase())

// A signed request for an s3:// URL; answers as fetch does.
export async function s3Fetch (method, url, { query = {}, headers = {}, body } = {}) {
  const endpoint = new URL(process.env.S3_ENDPOINT)
  const [, bucket, key] = /^s3[an]?:\/\/([^/]*)\/?(.*)$/.exec(url)
  const pathname = '/' + (bucket === '' ? '' : [bucket, ...key.split('/')].map(encode).join('/'))
  const search = Object.keys(query).sort().map(k => encode(k) + '=' + encode(query[k])).join('&')
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const hash = sha256(body ?? '')
  const signed = { host: endpoint.host, 'x-amz-content-sha256': hash, 'x-amz-date': date }
  const names = Object.keys(signed).sort()
  const canonical = [method, pathname, search, ...names.map(n => `${n}:${signed[n]}`), '', names.join(';'), hash].join('\n')
  const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`
  let secret = 'AWS4' + process.env.S3_SECRET
  for (const part of scope.split('/')) secret = hmac(secret, part)
  const signature = hmac(secret, ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${process.env.S3_KEY}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return originalFetch(`${endpoint.origin}${pathname}${search ? '?' + search : ''}`,
    { method, headers: { ...headers, ...signed, authorization }, body })
}

const originalFetch = globalThis.fetch

// The same, but any answer other than a good one is an error.
async function must (...args) {
  const answer = await s3Fetch(...args)
  if (!answer.ok) throw new Error(`${args[0]} ${args[1]}: ${answer.status} ${await answer.text()}`)
  return answer
}

export async function listObjects (url) {
  const [, bucket, prefix] = /^s3[an]?:\/\/([^/]+)\/?(.*)$/.exec(url)
  const keys = []
  let token
  do {
    const query = { 'list-type': '2', prefix, ...(token ? { 'continuation-token': token } : {}) }
    const text = await (await must('GET', `s3://${bucket}`, { query })).text()
    keys.push(...[...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(m => m[1]))
    token = /<NextContinuationToken>([^<]*)</.exec(text)?.[1]
  } while (token)
  return keys
}

async function main ([command, url]) {
  switch (command) {
    case 'make-bucket': await must('PUT', url); break
    case 'list': for (const key of await listObjects(url)) console.log(key); break
    case 'get': process.stdout.write(Buffer.from(await (await must('GET', url)).arrayBuffer())); break
    case 'put': await must('PUT', url, { body: fs.readFileSync(0) }); break
    case 'remove': await must('DELETE', url); break
    case 'uploads': {
      const text = await (await must('GET', url, { query: { uploads: '' } })).text()
      for (const m of text.matchAll(/<Key>([^<]*)<\/Key>/g)) console.log(m[1])
      break
    }
    case 'session': {
      const body = 'Action=AssumeRole&RoleArn=arn:aws:iam:::role/lake&RoleSessionName=test&DurationSeconds=3600&Version=2011-06-15'
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const text = await (await must('POST', 's3://', { headers, body })).text()
      for (const name of ['AccessKeyId', 'SecretAccessKey', 'SessionToken']) console.log(new RegExp(`<${name}>([^<]*)<`).exec(text)[1])
      break
    }
    default: throw new Error(`unknown command ${command}`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2))
