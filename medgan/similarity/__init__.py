"""How alike are images? Features, distances, nearest images, near-copy limits."""
