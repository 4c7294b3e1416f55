"""Studies of speed: commands timed beside what a user would write instead."""
