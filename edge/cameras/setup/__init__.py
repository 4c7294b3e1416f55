"""A camera's set-up: what was locked and measured on an empty field, and the flat field that is divided out."""

__all__ = ["set_up_camera"]
