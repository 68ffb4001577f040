"""What Python and the command line share: options, verbs and their results."""
