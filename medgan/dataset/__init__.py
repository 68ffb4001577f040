"""Find the scans of a data set, each with label, patient, split and verdict.

Nothing here needs torch.
"""
