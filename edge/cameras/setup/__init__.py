"""A camera's set-up: what was locked and measured on an empty field, and the flat field that is divided out."""

__all__ = ["camera_setup", "flat_field", "set_up_camera"]
