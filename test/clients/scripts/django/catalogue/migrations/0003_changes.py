from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalogue", "0002_fill")]
    operations = [
        migrations.RenameField("Author", "full_name", "name"),
        migrations.AlterField("Author", "name", models.CharField(max_length=100, db_index=True)),
        migrations.AddField("Author", "born", models.DateField(null=True)),
        migrations.RemoveField("Book", "pages"),
        migrations.AddField("Book", "price", models.DecimalField(max_digits=8, decimal_places=2, default=0)),
    ]
