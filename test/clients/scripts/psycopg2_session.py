"""What psycopg 2 does: COPY, server-side cursors, executemany and its pages."""
import io
import sys

import psycopg2
import psycopg2.extras

connection = psycopg2.connect(sys.argv[1])
with connection, connection.cursor() as c:
    c.execute("CREATE TABLE rows (id serial PRIMARY KEY, name text, n numeric, tags text[], doc jsonb)")
    c.executemany("INSERT INTO rows (name, n) VALUES (%s, %s)", [(f"name {i}", i) for i in range(3)])
    psycopg2.extras.execute_values(c, "INSERT INTO rows (name, tags, doc) VALUES %s", [("v", ["a"], psycopg2.extras.Json({"i": i})) for i in range(4)])
    psycopg2.extras.execute_batch(c, "UPDATE rows SET n = %s WHERE id = %s", [(i, i) for i in range(5)])
    c.copy_from(io.StringIO("c1\t1\nc2\t\\N\n"), "rows", columns=("name", "n"))
    c.copy_expert("COPY rows (name, n) FROM STDIN WITH (FORMAT csv)", io.StringIO("d1,5\n"))
    print(c.rowcount)
connection.set_session(isolation_level="REPEATABLE READ")
with connection:
    with connection.cursor("held by name", scrollable=True) as c:
        c.itersize = 2
        c.execute("SELECT id, name FROM rows WHERE id > %s ORDER BY id", (2,))
        print(c.fetchone(), c.fetchmany(2))
        c.scroll(-1)
        print(c.fetchall())
    with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as c:
        out = io.StringIO()
        c.copy_to(out, "rows", columns=("id", "name"))
        c.copy_expert("COPY (SELECT id, doc FROM rows ORDER BY id) TO STDOUT", out)
        print(out.getvalue())
        c.execute("SELECT * FROM rows ORDER BY id")
        print(c.fetchall(), [d.name for d in c.description])
try:
    with connection, connection.cursor() as c:
        c.execute("INSERT INTO rows (id) VALUES (1)")
except psycopg2.errors.UniqueViolation as error:
    print(error.pgcode)
connection.autocommit = True
with connection.cursor("kept", withhold=True) as c:
    c.execute("SELECT name FROM rows ORDER BY id")
    print(c.fetchmany(3))
transaction = connection.xid(1, "global", "branch")
connection.reset()
with connection, connection.cursor() as c:
    psycopg2.extras.register_default_jsonb(c)
    c.execute("DROP TABLE rows")
    print(c.statusmessage)
connection.close()
