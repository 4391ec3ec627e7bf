"""LDCT-Cascade: a reproducibility benchmark for low-dose CT denoising."""

__version__ = "0.1.0"
