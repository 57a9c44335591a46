// What postgres.js does: pipelines, cursors, COPY, arrays, transactions with savepoints,
// LISTEN left out (it needs a grant), cancels and errors.
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import postgres from 'postgres'
import { address } from './address.mjs'

const sql = postgres({ ...address, username: address.user, max: 3, onnotice: (n) => console.log('notice', n.severity, n.code) })

await sql`CREATE TABLE rows (id serial PRIMARY KEY, name text UNIQUE, tags text[], doc jsonb)`
await sql`CREATE TABLE IF NOT EXISTS rows (id int)`
const made = [1, 2, 3].map((i) => ({ name: `name ${i}`, doc: sql.json({ i }) }))
console.log(await sql`INSERT INTO rows ${sql(made)} RETURNING id, name, doc`)
console.log(await Promise.all([1, 2, 3].map((i) => sql`SELECT name FROM rows WHERE id = ${i}`)))
console.log(await sql`SELECT id FROM rows WHERE id = ANY(${[1, 3]}) ORDER BY id`.values())
console.log((await sql`SELECT id, name FROM rows`.describe()).columns.map((c) => [c.name, c.type]))
console.log(await sql`SELECT ${'text'}::text AS a, ${7}::int AS b, ${new Date(0)}::timestamptz AS c, ${null}::text AS d`)
for await (const page of sql`SELECT id FROM rows ORDER BY id`.cursor(2)) console.log('page', page.map((r) => r.id))
await pipeline(Readable.from(['copied 1\n', 'copied 2\n']), await sql`COPY rows (name) FROM STDIN`.writable())
for await (const chunk of await sql`COPY (SELECT id, name FROM rows ORDER BY id) TO STDOUT`.readable()) process.stdout.write(chunk)
await sql.begin(async (tx) => {
  await tx`UPDATE rows SET tags = ${['a', 'b "c"']} WHERE id = 1`
  await tx.savepoint((inner) => inner`INSERT INTO rows (id) VALUES (1)`).catch((e) => console.log(e.code, e.severity, e.constraint_name))
  console.log(await tx`SELECT tags FROM rows WHERE id = 1`)
})
await sql.begin('isolation level serializable read only', (tx) => tx`INSERT INTO rows (id) VALUES (9)`).catch((e) => console.log(e.code))
await sql`SELECT * FROM no_such_table`.catch((e) => console.log(e.code))
const slow = sql`SELECT pg_sleep(600)`
setTimeout(() => slow.cancel(), 200)
await slow.catch((e) => console.log(e.code))
console.log(await sql.unsafe('SELECT 1 AS one; SELECT 2 AS two'))
await sql`DROP TABLE rows`
await sql.end()
