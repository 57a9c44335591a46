"""Migrates a database forth and back with Alembic, in one transaction."""
import os
import sys

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

parts = dict(p.split("=", 1) for p in sys.argv[1].split())
engine = sa.create_engine(sa.engine.URL.create(
    "postgresql+psycopg2", username=parts["user"], password=os.environ["PGPASSWORD"], host=parts["host"], port=int(parts["port"]),
    database=parts["dbname"], query={k: parts[k] for k in ("sslmode", "sslrootcert")}))
metadata = sa.MetaData()
sa.Table("authors", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(100), nullable=False))
sa.Table("books", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.Text, index=True),
         sa.Column("author_id", sa.Integer, sa.ForeignKey("authors.id"), nullable=False),
         sa.Column("mood", sa.Enum("glad", "sad", name="mood"), server_default="glad"))
with engine.begin() as connection:
    context = MigrationContext.configure(connection)
    op = Operations(context)
    context._ensure_version_table()
    connection.execute(sa.text("INSERT INTO alembic_version (version_num) VALUES ('1975ea83b712')"))
    op.create_table("authors", sa.Column("id", sa.Integer, primary_key=True), sa.Column("full_name", sa.String(50)))
    op.bulk_insert(sa.table("authors", sa.column("full_name")), [{"full_name": "Ada"}, {"full_name": "Grace"}])
    op.alter_column("authors", "full_name", new_column_name="name", existing_type=sa.String(50), type_=sa.String(100), nullable=False)
    op.create_table("books", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.Text, index=True),
                    sa.Column("author_id", sa.Integer, nullable=False), sa.Column("mood", sa.Enum("glad", "sad", name="mood"), server_default="glad"))
    op.create_foreign_key("books_author", "books", "authors", ["author_id"], ["id"])
    with connection.begin_nested():
        connection.execute(sa.text("INSERT INTO books (title, author_id) SELECT 'of ' || name, id FROM authors"))
    print(connection.execute(sa.text("SELECT title, mood FROM books ORDER BY id")).all())
    connection.execute(sa.text("UPDATE alembic_version SET version_num = '2' WHERE version_num = '1975ea83b712'"))
with engine.begin() as connection:
    context = MigrationContext.configure(connection)
    print(context.get_current_revision(), [d[0] for d in compare_metadata(context, metadata)])
    metadata.drop_all(connection)
    Operations(context).drop_table("alembic_version")
