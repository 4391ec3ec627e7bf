"""Marks in the identifying attributes of DICOM files, and a search for them in all that is made."""
