"""Each learner is a folder of its own."""
