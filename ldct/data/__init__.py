"""From DICOM files of any supported layout to volumes, tiles and lesions."""
