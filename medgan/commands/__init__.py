"""One function per command: options in, a result out, nothing printed."""
