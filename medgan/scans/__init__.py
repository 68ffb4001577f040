"""Read and write scans: DICOM, NIfTI, raster images, .npz archives."""
