"""Which synthetic images are handed out: draw candidates, check, select."""
