"""Sets of trained models: made from a run, found by name, held against expected values."""
