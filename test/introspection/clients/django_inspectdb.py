"""Prints the models Django's inspectdb makes of a database."""
import sys
import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection

parts = dict(p.split("=", 1) for p in sys.argv[1].split())
settings.configure(
    INSTALLED_APPS=[],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts["user"],
                           "HOST": parts["host"], "PORT": parts.get("port", ""),
                           "OPTIONS": {k: parts[k] for k in ("sslmode", "sslrootcert") if k in parts}}},
)
django.setup()
call_command("inspectdb", "--include-views", "--include-partitions")
with connection.cursor() as cursor:
    for table in sorted(connection.introspection.get_table_list(cursor)):
        print(table, connection.introspection.get_sequences(cursor, table.name))
        print(sorted(connection.introspection.get_constraints(cursor, table.name).items()))
