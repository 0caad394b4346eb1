"""The runtimes, a module each: its name is the runtime's, and it has `open_runtime(precision)`."""
