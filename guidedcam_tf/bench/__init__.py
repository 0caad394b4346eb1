"""What explaining costs: against the forward pass, other packages, and by runtime."""
