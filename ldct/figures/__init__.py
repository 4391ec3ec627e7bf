"""Figs. 1 to 4 and loss curves."""
