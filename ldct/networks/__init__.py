"""Networks from files, chains of levels, their size and cost."""
