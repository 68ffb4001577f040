"""Decode, scale and resize training images once and keep them as arrays."""
