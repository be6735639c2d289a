"""Property tests draw the same examples on every machine."""

from hypothesis import settings

settings.register_profile("repeatable", settings.get_profile("unhurried"), derandomize=True)
settings.load_profile("repeatable")
