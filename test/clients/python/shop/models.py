"""One model with a column of every type and two indexes."""

from django.db import models
from pgvector.django import BitField, HalfVectorField, HnswIndex, SparseVectorField, VectorField


class Item(models.Model):
    name = models.CharField(max_length=20)
    embedding = VectorField(dimensions=3, null=True)
    half = HalfVectorField(dimensions=3, null=True)
    sparse = SparseVectorField(dimensions=3, null=True)
    bits = BitField(length=3, null=True)

    class Meta:
        app_label = "shop"
        indexes = [
            HnswIndex(name="item_l2", fields=["embedding"], m=16, ef_construction=64,
                      opclasses=["vector_l2_ops"]),
            HnswIndex(name="item_bits", fields=["bits"], opclasses=["bit_hamming_ops"]),
        ]
