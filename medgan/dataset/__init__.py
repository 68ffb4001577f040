"""What we have, and who is rare: a folder of scans -> Manifest -> Fingerprint. No torch here."""
