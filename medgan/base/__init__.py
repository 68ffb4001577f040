"""Foundations for all other packages: errors, files, caches, workers, progress."""
