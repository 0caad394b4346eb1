"""Measuring: what the methods cost."""
