"""Which synthetic images are handed out: draw candidates, check them, select."""
