"""Annotated lesions: measures, table, figure, panels."""
