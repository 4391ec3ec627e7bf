"""Protocols, PSNR to LPIPS, tissues, and their table."""
