"""One function per command: it takes options and returns a result, without printing."""
