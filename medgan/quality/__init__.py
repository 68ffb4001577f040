"""Are synthetic images realistic, useful and private? Images in, scores out."""
