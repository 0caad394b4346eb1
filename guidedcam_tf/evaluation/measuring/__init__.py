"""From pictures to rows: their maps, what the network says of masked ones, and each metric."""
