"""Are synthetic images realistic, useful and private? Measured on held-out patients."""
