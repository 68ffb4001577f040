"""How similar images are: features, distances, nearest images, near-copy limits."""
