"""brainclock reads the age of a brain from a T1-weighted MRI scan: ``brainclock.predict(path)``.

The names of ``__all__`` are public, and nothing else is. Each is imported when it is first used, so that
``import brainclock`` costs nothing.
"""

import importlib

__version__ = "0.1.0"

#: Where each public name lives. ``__init__.pyi`` says the same to type checkers.
_HOMES = {
    "BrainAgeRegressor": "brainclock.train.brain_age_regressor",
    "BrainclockError": "brainclock.errors",
    "GapPlan": "brainclock.stats.plan",
    "RankNContrast": "brainclock.train.rank_n_contrast",
    "RunSettings": "brainclock.config",
    "Study": "brainclock.stats.study",
    "Volume": "brainclock.io.volume",
    "analyse_gap": "brainclock.stats.gap",
    "find_scans": "brainclock.io.find",
    "load_model": "brainclock.model.folder",
    "load_settings": "brainclock.config",
    "prepare_volume": "brainclock.prepare.chain",
    "rank_n_contrast": "brainclock.train.rank_n_contrast",
    "read_study": "brainclock.predict.study",
    "read_volume": "brainclock.io.nifti",
    "simulate_head": "brainclock.simulate.head",
}

#: Rooms that are functions as well: ``brainclock.predict(image)``.
_CALLABLE_ROOMS = ("explain", "predict", "train")

__all__ = sorted((*_HOMES, *_CALLABLE_ROOMS))


def __getattr__(name: str) -> object:
    if name in _CALLABLE_ROOMS:
        return importlib.import_module(f"brainclock.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'brainclock' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
