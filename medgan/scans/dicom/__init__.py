"""Everything medgan knows about DICOM files."""
