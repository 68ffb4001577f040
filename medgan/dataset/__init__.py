"""Which scans there are, with label, patient, split and verdict. No torch here."""
