"""Drawing: the paper's figures from results. Nothing here runs a network."""
