"""A data set on disk: class folders, tables, data card, checksums, run.json."""
