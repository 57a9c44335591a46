from django.db import migrations


def fill(apps, editor):
    author = apps.get_model("catalogue", "Author").objects.create(full_name="Ada")
    apps.get_model("catalogue", "Book").objects.bulk_create(
        apps.get_model("catalogue", "Book")(title=f"Notes {n}", author=author) for n in range(3))


def clear(apps, editor):
    apps.get_model("catalogue", "Author").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("catalogue", "0001_initial")]
    operations = [
        migrations.RunPython(fill, clear),
    ]
