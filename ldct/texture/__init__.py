"""Noise power spectra, distance to the texture of NDCT, the pooling lattice."""
