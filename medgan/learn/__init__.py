"""Shared by every learner: device, precision, chance, checkpoints, journal, batches."""
