"""Draw images and words on PNG files: grids, contact sheets."""
