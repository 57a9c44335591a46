"""Migrates a database forth and back with Django, and uses it in between."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import django
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F

parts = dict(p.split("=", 1) for p in sys.argv[1].split())
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "catalogue"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts["user"],
                           "HOST": parts["host"], "PORT": parts.get("port", ""),
                           "OPTIONS": {k: parts[k] for k in ("sslmode", "sslrootcert") if k in parts}}},
)
django.setup()
call_command("makemigrations", "--check", "--dry-run")
call_command("migrate", "catalogue", "0001")
call_command("migrate")
call_command("showmigrations")
call_command("inspectdb")

from catalogue.models import Author, Book, Shelf

ada = Author.objects.get(name="Ada")
print(Book.objects.filter(author=ada).update(price=F("price") + 2))
shelf, created = Shelf.objects.get_or_create(label="top")
ada.book_set.first().shelves.add(shelf)
print(created, list(Book.objects.annotate(n=Count("shelves")).order_by("title").values_list("title", "price", "n")))
try:
    with transaction.atomic():
        Book.objects.update(price=-1)
except IntegrityError:
    print("the constraint holds")
with transaction.atomic():
    print(Book.objects.select_for_update().get(title="Notes 1").details)
    for book in Book.objects.order_by("title").iterator(chunk_size=2):
        print(book.title)
call_command("sqlsequencereset", "catalogue")
for app in ("catalogue", "sessions", "auth", "contenttypes"):
    call_command("migrate", app, "zero")
with connection.cursor() as cursor:
    cursor.execute("DROP TABLE django_migrations")
    print(connection.introspection.table_names(cursor))
