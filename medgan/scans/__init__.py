"""Files <-> Scan: everything medgan knows about DICOM, NIfTI and raster images."""
