"""A model of normal scans: how unlike them another scan is, where, and how sure that is."""
