"""`python -m guidedcam_tf` is `guidedcam`."""

from guidedcam_tf.cli import main

main()
