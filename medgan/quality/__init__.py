"""Is it any good, does it help, and is it anybody? Images in, scores out."""
