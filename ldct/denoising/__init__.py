"""Applying a trained or classical denoiser to volumes."""
