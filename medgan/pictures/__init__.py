"""Draw images as PNG: contact sheets, grids of synthetic images, display windows."""
