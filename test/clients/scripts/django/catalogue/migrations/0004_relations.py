from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalogue", "0003_changes")]
    operations = [
        migrations.CreateModel("Shelf", [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("label", models.SlugField(unique=True)),
        ]),
        migrations.AddField("Book", "shelves", models.ManyToManyField(to="catalogue.Shelf")),
        migrations.AddField("Book", "details", models.JSONField(default=dict)),
        migrations.AddConstraint("Book", models.CheckConstraint(check=models.Q(price__gte=0), name="price_not_negative")),
        migrations.AddIndex("Book", models.Index(fields=["title", "author"], name="book_title_author")),
        migrations.RunSQL("COMMENT ON TABLE catalogue_book IS 'what is on the shelves'", migrations.RunSQL.noop),
    ]
