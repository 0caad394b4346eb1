"""Pictures: read from files, and shown with a map laid over."""

from guidedcam_tf.data.overlay import colour
from guidedcam_tf.data.overlay import overlay
from guidedcam_tf.data.pictures import Picture
from guidedcam_tf.data.pictures import read_picture
from guidedcam_tf.data.pictures import to_grey

__all__ = ["Picture", "colour", "overlay", "read_picture", "to_grey"]
