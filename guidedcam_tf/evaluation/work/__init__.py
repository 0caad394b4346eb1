"""A run's work: its units, what of them is done, and who computes them."""
