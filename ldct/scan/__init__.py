"""A scan of one's own: any CT series in, a denoised series beside it, no pairs needed."""
