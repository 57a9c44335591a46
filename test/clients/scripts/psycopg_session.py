"""What psycopg 3 does: binary values, prepared statements, COPY and pipelines."""
import logging
import sys

import psycopg
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo

# Whether a pipeline hears of its error before its end or at it is a matter of time, and
# is told in the log alone.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

with psycopg.connect(sys.argv[1], prepare_threshold=2) as c:
    c.execute("CREATE TYPE tint AS ENUM ('red', 'blue')")
    c.execute("CREATE TYPE place AS (x int, y int)")
    c.execute("CREATE TABLE things (id serial PRIMARY KEY, name text, tint tint, at place)")
    c.commit()
    print(EnumInfo.fetch(c, "tint").labels)
    register_composite(CompositeInfo.fetch(c, "place"), c)
    with c.cursor() as cur:
        cur.executemany("INSERT INTO things (name, tint, at) VALUES (%s, %s, %s) RETURNING id",
                        [(f"n{i}", "red", (i, i)) for i in range(4)], returning=True)
        while True:
            print(cur.fetchone())
            if not cur.nextset():
                break
        with cur.copy("COPY things (name, tint) FROM STDIN") as copy:
            for row in [("c1", "blue"), ("c2", None)]:
                copy.write_row(row)
        with cur.copy("COPY (SELECT id, name FROM things ORDER BY id) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "text"])
            print(list(copy.rows()))
    c.commit()
    for i in range(5):
        print(c.execute("SELECT name, at FROM things WHERE id = %s", (i,), binary=True).fetchall())
    with c.pipeline() as p:
        first = c.execute("UPDATE things SET name = %s WHERE id = 1", ("piped",))
        second = c.execute("SELECT name FROM things WHERE id = 1")
        p.sync()
        print(first.rowcount, second.fetchone())
        with c.transaction():
            c.execute("INSERT INTO things (name) VALUES (%s)", ("in a block",))
    try:
        with c.pipeline():
            c.execute("INSERT INTO things (id) VALUES (1)")
            c.execute("SELECT 1")
    except psycopg.errors.UniqueViolation as error:
        print(error.sqlstate)
    c.rollback()
    # Cursors at the server: declared by SQL, described by a message.
    with c.cursor("named", scrollable=True) as cur:
        cur.execute("SELECT id, name FROM things WHERE id > %s ORDER BY id", (1,))
        print([column.name for column in cur.description], cur.fetchone(), cur.fetchmany(2))
        cur.scroll(-2)
        print(cur.fetchall())
    with c.cursor("Held", withhold=True) as cur:
        cur.execute("SELECT name FROM things ORDER BY id")
        c.commit()
        cur.itersize = 2
        print([row for row in cur])
    c.commit()
    c.execute("PREPARE byid (int) AS SELECT name FROM things WHERE id = $1")
    described = c.pgconn.describe_prepared(b"byid")
    print(described.nparams, described.param_type(0), described.fname(0))
    print(c.pgconn.exec_prepared(b"byid", [b"2"]).get_value(0, 0))
    c.commit()
    with c.transaction(), c.transaction("inner"):
        print(c.execute("SELECT count(*) FROM things").fetchone())
    c.execute("DROP TABLE things")
    c.execute("DROP TYPE tint, place")
    c.commit()
