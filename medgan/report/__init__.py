"""Results -> pictures and pages a person can judge."""
