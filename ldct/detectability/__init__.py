"""Inserted discs, the model observer and its d'."""
