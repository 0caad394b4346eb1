"""From rows to tables: means, intervals, tests between methods, ranks, and the paper's values."""
