"""What asyncpg does: its own look at types, prepared statements, cursors and COPY."""
import asyncio
import io
import os
import ssl
import sys

import asyncpg

parts = dict(p.split("=", 1) for p in sys.argv[1].split())


async def main():
    pool = await asyncpg.create_pool(
        host=parts["host"], port=parts["port"], user=parts["user"], database=parts["dbname"], password=os.environ["PGPASSWORD"],
        ssl=ssl.create_default_context(cafile=parts["sslrootcert"]), min_size=1, max_size=1)
    async with pool.acquire() as c:
        for definition in ("TYPE tint AS ENUM ('red', 'blue')", "TYPE place AS (x int, y int)", "DOMAIN small AS int CHECK (VALUE < 100)",
                           "TABLE things (id serial PRIMARY KEY, tint tint, at place, n small, tags text[], doc jsonb, span int4range)"):
            await c.execute("CREATE " + definition)
        await c.set_type_codec("jsonb", encoder=str, decoder=str, schema="pg_catalog")
        insert = "INSERT INTO things (tint, at, n, tags, doc, span) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id"
        print(await c.fetchval(insert, "red", (1, 2), 7, ["a", "b"], '{"k": 1}', asyncpg.Range(1, 5)))
        await c.executemany(insert, [("blue", (n, n), n, [], "[]", asyncpg.Range(n, None)) for n in range(5)])
        print([tuple(r) for r in await c.fetch("SELECT * FROM things ORDER BY id")])
        statement = await c.prepare("SELECT tint, at, n FROM things WHERE id = ANY($1::int[]) ORDER BY id")
        print([(a.name, a.type.name, a.type.kind) for a in statement.get_attributes()], [p.name for p in statement.get_parameters()])
        print(await statement.fetch([1, 2]), await statement.fetchval([3]))
        async with c.transaction(isolation="serializable", readonly=True):
            async for row in c.cursor("SELECT id FROM things ORDER BY id", prefetch=2):
                print(row)
            cursor = await c.cursor("SELECT id FROM things ORDER BY id")
            print(await cursor.fetch(2), await cursor.fetchrow(), await cursor.forward(1), await cursor.fetch(9))
        try:
            async with c.transaction():
                await c.execute("DELETE FROM things WHERE id = 1")
                async with c.transaction():
                    await c.execute("INSERT INTO things (n) VALUES (100)")
        except asyncpg.CheckViolationError as error:
            print(type(error).__name__, error.sqlstate)
        print(await c.copy_records_to_table("things", columns=["tint", "n", "tags"], records=[("red", n, [str(n)]) for n in range(3)]))
        out = io.BytesIO()
        print(await c.copy_from_query("SELECT id, tint FROM things WHERE id > $1 ORDER BY id", 4, output=out, format="csv"), out.getvalue())
        out = io.BytesIO()
        print(await c.copy_from_table("things", columns=["id", "n"], output=out), out.getvalue())
        print(await c.copy_to_table("things", columns=["tint", "n"], source=io.BytesIO(b"red,1\nblue,2\n"), format="csv"))
        await c.execute("ALTER TABLE things ADD COLUMN later text DEFAULT 'l'")
        print(await c.fetchrow("SELECT * FROM things WHERE id = $1", 2))
        for objects in ("TABLE things", "TYPE tint, place", "DOMAIN small"):
            await c.execute("DROP " + objects)
    async with pool.acquire() as c:
        print(await c.fetchval("SELECT current_setting('search_path')"))
    await pool.close()


asyncio.run(main())
