"""A finished run as one archive that describes itself: an RO-Crate."""
