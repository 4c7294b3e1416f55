"""What runs on the device: numpy, OpenCV and an interpreter; never TensorFlow."""

RESEARCH_USE_ONLY = "Research use only: not a medical device, not for diagnosis."
