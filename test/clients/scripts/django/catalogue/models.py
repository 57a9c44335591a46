"""The models as the last migration leaves them."""
from django.db import models
from django.db.models import Q


class Author(models.Model):
    name = models.CharField(max_length=100, db_index=True)
    born = models.DateField(null=True)


class Shelf(models.Model):
    label = models.SlugField(unique=True)


class Book(models.Model):
    title = models.CharField(max_length=200)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    shelves = models.ManyToManyField(Shelf)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    details = models.JSONField(default=dict)

    class Meta:
        constraints = [models.CheckConstraint(check=Q(price__gte=0), name="price_not_negative")]
        indexes = [models.Index(fields=["title", "author"], name="book_title_author")]
