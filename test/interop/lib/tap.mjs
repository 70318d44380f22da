// Checks that print TAP, and queries through psql, for interoperability tests.
import { execFileSync } from 'node:child_process'
import { isDeepStrictEqual } from 'node:util'

let ran = 0
let failed = 0

export function ok (passed, name) {
  console.log(`${passed ? '' : 'not '}ok ${++ran} - ${name}`)
  if (!passed) failed++
  return passed
}

// Values are equal if they are as JSON would have them; bigint counts as text.
export function is (got, expected, name) {
  const plain = v => JSON.parse(JSON.stringify(v, (k, x) => typeof x === 'bigint' ? String(x) : x) ?? 'null')
  const same = isDeepStrictEqual(plain(got), plain(expected))
  ok(same, name)
  if (!same) console.log(`# got      ${JSON.stringify(plain(got))}\n# expected ${JSON.stringify(plain(expected))}`)
  return same
}

export function done () {
  console.log(`1..${ran}`)
  process.exitCode = failed > 0 || ran === 0 ? 1 : 0
}

// Run SQL in the test's database; the rows of the last statement, as arrays of text.
export function sql (text) {
  const out = execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-F', '\x1f', '-R', '\x1e', '-f', '-'],
    { input: text, encoding: 'utf8', maxBuffer: 1 << 30 })
  return out.replace(/\n$/, '').split('\x1e').filter(r => r !== '').map(r => r.split('\x1f'))
}

export function value (text) {
  return sql(text)[0]?.[0]
}

// A JSON value computed by SQL.
export function json (text) {
  return JSON.parse(value(text))
}
