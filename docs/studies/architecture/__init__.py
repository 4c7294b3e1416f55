"""The map of the house: rooms and arrows as they are imported today, as a picture, a record and a table."""
