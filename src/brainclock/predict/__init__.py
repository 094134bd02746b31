"""From scans to a table of ages. ``brainclock.predict(image)`` is `brainclock.predict.predict.predict`."""

from brainclock.rooms import make_callable

make_callable(__name__, "brainclock.predict.predict", "predict")
