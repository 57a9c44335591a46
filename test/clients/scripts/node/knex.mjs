// Knex: migrations up and down, its own table of them and the lock on it, and queries.
import knex from 'knex'
import { address } from './address.mjs'

const steps = {
  '001_authors': {
    up: (k) => k.schema.createTable('authors', (t) => {
      t.increments('id')
      t.string('name', 80).notNullable().unique()
      t.timestamps(true, true)
    }),
    down: (k) => k.schema.dropTable('authors'),
  },
  '002_books': {
    up: (k) => k.schema.createTable('books', (t) => {
      t.increments('id')
      t.integer('author_id').references('id').inTable('authors').onDelete('CASCADE').index()
      t.string('title').defaultTo('untitled')
      t.decimal('price', 10, 2).checkPositive()
      t.enu('state', ['new', 'old'])
      t.jsonb('doc')
    }),
    down: (k) => k.schema.dropTable('books'),
  },
  '003_alter': {
    up: (k) => k.schema.alterTable('books', (t) => {
      t.integer('pages').comment('without the cover')
      t.renameColumn('title', 'name')
      t.string('state').alter()
    }),
    down: (k) => k.schema.alterTable('books', (t) => {
      t.dropColumn('pages')
      t.renameColumn('name', 'title')
    }),
  },
}
const db = knex({
  client: 'pg',
  connection: address,
  pool: { min: 0, max: 3 },
  migrations: {
    migrationSource: {
      getMigrations: async () => Object.keys(steps),
      getMigrationName: (name) => name,
      getMigration: async (name) => steps[name],
    },
  },
})
const columns = async (table) => Object.entries(await db(table).columnInfo()).map(([name, c]) => `${name} ${c.type} ${c.nullable}`)

console.log(await db.migrate.latest())
console.log(await columns('books'), await db.schema.hasTable('authors'), await db.schema.hasColumn('books', 'pages'))
console.log(await db('authors').insert([{ name: 'Ann' }, { name: 'Bo' }], 'id'))
await db.transaction(async (tx) => {
  await tx('books').insert({ author_id: 1, name: 'one', price: 1.5, doc: { a: 1 } })
  await tx('books').insert({ author_id: 1, price: -1 }).catch((e) => console.log(e.code))
}).catch((e) => console.log(e.code))
await db('books').insert({ author_id: 2, name: 'two', price: 2 })
await db('authors').insert({ name: 'Ann' }).onConflict('name').merge(['name'])
console.log(await db('books').join('authors', 'authors.id', 'books.author_id').select('authors.name', 'books.price').orderBy('books.id'))
console.log(await db('books').where('author_id', 2).forUpdate().first('id'))
console.log(await db.migrate.rollback(undefined, true))
console.log(await db.migrate.currentVersion())
await db.schema.dropTable('knex_migrations_lock')
await db.schema.dropTable('knex_migrations')
await db.destroy()
