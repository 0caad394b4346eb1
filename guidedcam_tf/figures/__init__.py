"""The figures: results computed apart from their drawing, which runs no network."""
