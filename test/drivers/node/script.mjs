// Drives a server through node-postgres, as an application does, and prints one
// JSON line per step: {step, command, rows} or {step, code}. What a step
// answers must not depend on whether a proxy stands in between; error texts may.
//
// The address and the credentials come from the usual PG* variables. The
// database holds what schema.sql makes; the user may select and insert on
// public.orders and nothing else.

import { readFileSync } from 'node:fs';
import pg from 'pg';

const denied = 'select id, amount from private.salaries order by id';
const byId = { name: 'order by id', text: 'select id, status from orders where id = $1' };

const ssl = process.env.PGSSLROOTCERT
  ? { ca: readFileSync(process.env.PGSSLROOTCERT, 'utf8') }
  : false;

function report(step, outcome) {
  console.log(JSON.stringify({ step, ...outcome }));
}

const answer = (r) => Array.isArray(r)
  ? { results: r.map(answer) }
  : { command: r.command, rows: r.rows };

const failure = (e) => {
  if (!e.code) throw e; // not the server's
  return { code: e.code };
};

// run reports the outcome of one query, good or bad.
async function run(client, step, ...query) {
  report(step, await client.query(...query).then(answer, failure));
}

async function connect(options = {}) {
  const client = new pg.Client({ ssl, connectionTimeoutMillis: 20000, ...options });
  // A connection that ends by itself must end the script, not hang it.
  client.on('error', (e) => { console.error(e); process.exit(1); });
  await client.connect();
  return client;
}

async function simple() {
  const c = await connect();
  await run(c, 'allowed select', 'select id, status from orders order by id');
  await run(c, 'select with a parameter', 'select status from orders where id = $1', [2]);
  await run(c, 'denied select', denied);
  await run(c, 'allowed select after a denial', 'select count(*)::int as n from orders');
  await run(c, 'denied select with a parameter', 'select amount from private.salaries where id = $1', [1]);
  await run(c, 'denied update', "update orders set status = 'x'");
  await run(c, 'syntax error', 'selec 1');
  await run(c, 'two statements', 'select 1 as a; select 2 as b');
  await run(c, 'two statements, one denied', `insert into orders (id, status) values (90, 'lost'); ${denied}`);
  await run(c, 'neither of them ran', 'select count(*)::int as n from orders where id = 90');
  await run(c, 'values keep their types', "select null as nothing, 'grüße 🐘' as text, 1.50::numeric as price, array[1,2] as list, true as yes");
  await run(c, 'empty query', '');
  await c.end();
}

async function transaction() {
  const c = await connect();
  await run(c, 'begin', 'begin');
  await run(c, 'insert in the transaction', "insert into orders (id, status) values ($1, $2)", [91, 'lost']);
  await run(c, 'denied in the transaction', denied);
  await run(c, 'allowed in the failed transaction', 'select 1');
  await run(c, 'commit of the failed transaction', 'commit');
  await run(c, 'the insert is gone', 'select count(*)::int as n from orders where id = 91');
  await run(c, 'begin again', 'begin');
  await run(c, 'savepoint', 'savepoint s');
  await run(c, 'denied after the savepoint', denied);
  await run(c, 'back to the savepoint', 'rollback to s');
  await run(c, 'insert after going back', "insert into orders (id, status) values (92, 'kept') returning id");
  await run(c, 'rollback', 'rollback');
  await c.end();
}

async function prepared() {
  const c = await connect();
  await run(c, 'prepared', { ...byId, values: [1] });
  await run(c, 'prepared, reused', { ...byId, values: [2] });
  const hidden = { name: 'hidden', text: 'select amount from private.salaries where id = $1' };
  await run(c, 'prepared, denied', { ...hidden, values: [1] });
  await run(c, 'prepared, denied again', { ...hidden, values: [1] });
  await run(c, 'prepared, reused after denials', { ...byId, values: [3] });
  await run(c, 'prepared, other parameters fail', { ...byId, values: ['no number'] });
  await run(c, 'prepared, reused after an error', { ...byId, values: [1] });
  await c.end();
}

// Every query is on the wire before the first answer is read.
async function pipelined() {
  const c = await connect({ pipeline: true });
  const queries = [
    ['pipeline: first', { ...byId, values: [1] }],
    ['pipeline: denied', 'select amount from private.salaries where id = $1', [1]],
    ['pipeline: after the denial', { ...byId, values: [2] }],
    ['pipeline: begin', 'begin'],
    ['pipeline: insert', "insert into orders (id, status) values ($1, 'lost')", [93]],
    ['pipeline: denied in the transaction', denied],
    ['pipeline: in the failed transaction', { ...byId, values: [3] }],
    ['pipeline: commit', 'commit'],
    ['pipeline: the insert is gone', 'select count(*)::int as n from orders where id = $1', [93]],
  ];
  const outcomes = await Promise.all(queries.map(([, ...q]) => c.query(...q).then(answer, failure)));
  queries.forEach(([step], i) => report(step, outcomes[i]));
  await c.end();
}

async function pooled() {
  const pool = new pg.Pool({ ssl, max: 2, connectionTimeoutMillis: 20000 });
  const ids = [1, 2, 3, 1, 2, 3, 1, 2];
  const outcomes = await Promise.all(ids.map((id) =>
    pool.query(id === 3 ? denied : byId.text, id === 3 ? [] : [id]).then(answer, failure)));
  outcomes.forEach((o, i) => report(`pool: query ${i + 1}`, o));
  await pool.end();
}

for (const part of [simple, transaction, prepared, pipelined, pooled]) {
  await part();
}
