"""Where the years come from. ``brainclock.explain(image)`` is `brainclock.explain.explain.explain`."""

from brainclock.rooms import make_callable

make_callable(__name__, "brainclock.explain.explain", "explain")
