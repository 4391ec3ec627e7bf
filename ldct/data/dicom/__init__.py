"""Any layout of DICOM files in; a layout like AAPM's out."""
