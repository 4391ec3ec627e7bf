"""How numbers, tables, pages and figures look."""
