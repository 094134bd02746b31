"""Heads whose truth is known."""

from brainclock.simulate.anatomy import Anatomy, anatomy_from_labels, template_anatomy
from brainclock.simulate.brain import Brain, age_brain, age_image
from brainclock.simulate.cohort import simulate_cohort
from brainclock.simulate.head import head_pose, simulate_brain, simulate_head
from brainclock.simulate.settings import CohortSettings

__all__ = [
    "Anatomy",
    "Brain",
    "CohortSettings",
    "age_brain",
    "age_image",
    "anatomy_from_labels",
    "head_pose",
    "simulate_brain",
    "simulate_cohort",
    "simulate_head",
    "template_anatomy",
]
