"""One function per command: options in, a result noun out, nothing printed."""
