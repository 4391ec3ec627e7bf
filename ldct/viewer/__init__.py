"""Slices of all methods inside the page of a run: packed, and shown by a script of the page."""
