"""What every learner shares: device, precision, checkpoints, batches and logs."""
