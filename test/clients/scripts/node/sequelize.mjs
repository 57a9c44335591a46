// Sequelize: models that are synchronised with the database, altered and dropped, and
// what it asks the catalog on the way.
import { DataTypes, Op, Sequelize, Transaction } from 'sequelize'
import { address } from './address.mjs'

const { ssl, ...rest } = address
const db = new Sequelize({ ...rest, username: address.user, dialect: 'postgres', dialectOptions: { ssl }, logging: false, pool: { max: 2 } })
const define = (more) => {
  const Author = db.define('Author', { name: { type: DataTypes.STRING(80), unique: 'by_name', allowNull: false } })
  const Book = db.define('Book', { title: { type: DataTypes.STRING, defaultValue: 'untitled' }, price: DataTypes.DECIMAL(10, 2), doc: DataTypes.JSONB, ...more }, { indexes: [{ fields: ['title'] }] })
  Author.hasMany(Book, { onDelete: 'CASCADE' })
  Book.belongsTo(Author)
  return { Author, Book }
}
define({})
await db.sync()
const { Author, Book } = define({ pages: { type: DataTypes.INTEGER, comment: 'without the cover' } })
await db.sync({ alter: true })
const queries = db.getQueryInterface()
console.log(Object.entries(await queries.describeTable('Books')).map(([name, c]) => `${name} ${c.type} ${c.allowNull}`).sort())
console.log((await queries.showIndex('Authors')).map((i) => i.name).sort(), (await queries.showAllTables()).sort())
const ann = await Author.create({ name: 'Ann', Books: [{ title: 'one', price: 1.5, doc: { a: [1] } }, { price: 2 }] }, { include: Book })
console.log(ann.Books.length)
await Author.create({ name: 'Ann' }).catch((e) => console.log(e.name, e.parent.code))
await db.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.REPEATABLE_READ }, async (transaction) => {
  await Book.increment('price', { by: 1, where: { title: { [Op.like]: 'o%' } }, transaction })
  console.log((await Book.findAll({ include: Author, order: [['id', 'ASC']], limit: 1, transaction, lock: { level: transaction.LOCK.UPDATE, of: Book } })).length)
})
console.log((await Author.findAll({ include: Book, order: [[Book, 'id', 'ASC']] })).map((a) => [a.name, a.Books.map((b) => [b.title, b.price, b.doc])]))
console.log(await Author.destroy({ where: { name: 'Ann' } }), await Book.count())
await db.drop()
await db.close()
