"""Which device, how many processes, and how computation runs there."""
