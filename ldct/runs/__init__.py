"""A finished run by name: its tables, columns, cells and their lineage."""
