"""Volumes, tiles and lesions of a data set."""
