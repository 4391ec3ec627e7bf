"""What every room stands on: files, errors, records, progress, HU to network units."""
