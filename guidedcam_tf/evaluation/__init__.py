"""Methods on data sets: a configuration becomes units of work, these rows, and rows tables."""
