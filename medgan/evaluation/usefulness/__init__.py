"""Does a classifier gain from synthetic images? Arms, their training, the verdict."""
