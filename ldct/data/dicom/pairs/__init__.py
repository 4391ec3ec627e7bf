"""What a patient's slice pairs may be: one scan, without gaps, of two doses that agree."""
