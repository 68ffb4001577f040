"""What every room stands on: errors, files, caches, worker processes, progress."""
