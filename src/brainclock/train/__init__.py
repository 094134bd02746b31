"""How a model comes to be. ``brainclock.train(scans, ...)`` is `brainclock.train.run.train`."""

from brainclock.rooms import make_callable

make_callable(__name__, "brainclock.train.run", "train")
