"""The page in the browser: a thin layout over functions of `Explainer` and `Explanation`."""
