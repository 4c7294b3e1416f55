"""The import of TensorFlow and Keras without their greetings (`edge.system.streams.silenced`)."""

import logging
import os
import sys

from edge.system.streams import silenced
from models.errors import MissingExtraError


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their greetings; one line when they are not installed.

    Raises:
        MissingExtraError: no TensorFlow here.
    """
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with silenced():
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"this needs TensorFlow ({error}); install it with: pip install '.[convert]' in a clone of Leukoscope"
        ) from error
    # its logger was made for the stream that was held back, which is closed by now
    logger = logging.getLogger("tensorflow")
    logger.handlers.clear()
    logger.setLevel(logging.ERROR)
