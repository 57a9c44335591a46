// The address as libpq writes it, for clients that take its parts.
import { readFileSync } from 'node:fs'

const parts = Object.fromEntries(process.argv[2].split(' ').map((part) => part.split('=')))

export const address = {
  host: 'localhost',
  port: Number(parts.port),
  database: parts.dbname,
  user: parts.user,
  password: process.env.PGPASSWORD,
  ssl: { ca: readFileSync(parts.sslrootcert, 'utf8') },
}
