"""What ODBC does: catalog functions, parameters, transactions."""
import os
import sys

import pyodbc

parts = dict(p.split("=", 1) for p in sys.argv[1].split())
os.environ["PGSSLROOTCERT"] = parts["sslrootcert"]
pyodbc.pooling = False
connection = pyodbc.connect("DRIVER=PostgreSQL Unicode;SERVER=%s;PORT=%s;DATABASE=%s;UID=%s;PWD=%s;SSLmode=%s;UseServerSidePrepare=1;UseDeclareFetch=%s" % (
    parts["host"], parts["port"], parts["dbname"], parts["user"], os.environ["PGPASSWORD"], parts["sslmode"], sys.argv[2]))
c = connection.cursor()
c.execute("CREATE TABLE rows (id serial PRIMARY KEY, name varchar(20), n numeric(8,2), made date)")
c.execute("CREATE TABLE parts (id int PRIMARY KEY, row int REFERENCES rows)")
connection.commit()
c.executemany("INSERT INTO rows (name, n, made) VALUES (?, ?, ?)", [(f"name {i}", i, "2020-01-0%d" % (i + 1)) for i in range(4)])
connection.commit()
print(c.execute("SELECT * FROM rows WHERE id > ? ORDER BY id", 1).fetchall(), c.description)
print([(r.table_name, r.table_type) for r in c.tables(schema="public")])
print([(r.column_name, r.type_name, r.nullable) for r in c.columns(table="rows")])
print([tuple(r)[:6] for r in c.primaryKeys("rows")], [tuple(r)[2:8] for r in c.foreignKeys("rows")], len(c.statistics("rows").fetchall()))
try:
    c.execute("INSERT INTO rows (id) VALUES (?)", 1)
except pyodbc.IntegrityError as error:
    print(error.args[0])
connection.rollback()
print(c.execute("UPDATE rows SET n = n + 1").rowcount)
connection.rollback()
print(c.execute("SELECT sum(n) FROM rows").fetchval())
c.execute("DROP TABLE parts, rows")
connection.commit()
