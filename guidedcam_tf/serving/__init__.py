"""The explanation as a service: a SavedModel that TensorFlow Serving runs, and its check."""
