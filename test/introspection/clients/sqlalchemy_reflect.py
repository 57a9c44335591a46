"""Prints what SQLAlchemy's inspector and reflection find in a database."""
import sys
from sqlalchemy import MetaData, create_engine, inspect

engine = create_engine("postgresql+psycopg2://", connect_args=dict(p.split("=", 1) for p in sys.argv[1].split()))
found = inspect(engine)
print("default schema", found.default_schema_name)
for schema in sorted(found.get_schema_names()):
    if schema == "information_schema":
        continue
    print("schema", schema)
    for view in sorted(found.get_view_names(schema=schema)):
        print("view", view, found.get_view_definition(view, schema=schema))
        print(found.get_columns(view, schema=schema))
    for sequence in sorted(found.get_sequence_names(schema=schema)):
        print("sequence", sequence)
    print("enums", found.get_enums(schema=schema))
    print("foreign tables", sorted(found.get_foreign_table_names(schema=schema)))
    for table in sorted(found.get_table_names(schema=schema)):
        print("table", table, found.get_table_comment(table, schema=schema))
        for column in found.get_columns(table, schema=schema):
            print(" ", sorted((k, str(v)) for k, v in column.items()))
        print("  key", found.get_pk_constraint(table, schema=schema))
        print("  foreign", found.get_foreign_keys(table, schema=schema))
        print("  indexes", found.get_indexes(table, schema=schema))
        print("  unique", found.get_unique_constraints(table, schema=schema))
        print("  checks", found.get_check_constraints(table, schema=schema))
metadata = MetaData()
metadata.reflect(engine, schema="sales", views=True)
print("reflected", sorted(metadata.tables))
