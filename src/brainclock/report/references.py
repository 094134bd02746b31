"""What was used and whom to cite for it, as a paragraph for a paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brainclock.report.run_folder import RunFacts

#: Each source, in the order in which it is listed.
SOURCES: dict[str, str] = {
    "crete": "Clément Crête SJ, Kersten-Oertel M, Xiao Y (2025). MRI-Based Brain Age Estimation with "
    "Supervised Contrastive Learning of Continuous Representation. arXiv:2511.22102",
    "zha": "Zha K, Cao P, Son J, Yang Y, Katabi D (2023). Rank-N-Contrast: Learning Continuous "
    "Representations for Regression. NeurIPS. arXiv:2210.01189",
    "fisch": "Fisch L, et al. (2024). deepbet: Fast brain extraction of T1-weighted MRI using "
    "convolutional neural networks. Computers in Biology and Medicine. "
    "doi:10.1016/j.compbiomed.2024.108845",
    "tustison": "Tustison NJ, et al. (2010). N4ITK: Improved N3 Bias Correction. IEEE Transactions on Medical"
    " Imaging 29:1310. doi:10.1109/TMI.2010.2046908",
    "fonov": "Fonov V, et al. (2011). Unbiased average age-appropriate atlases for pediatric studies. "
    "NeuroImage 54:313. doi:10.1016/j.neuroimage.2010.07.033",
    "vovk": "Vovk V, Gammerman A, Shafer G (2005). Algorithmic Learning in a Random World. "
    "doi:10.1007/b106715",
    "de_lange": "de Lange AMG, Cole JH (2020). Commentary: Correction procedures in brain-age prediction. "
    "NeuroImage: Clinical 26:102229. doi:10.1016/j.nicl.2020.102229",
    "cole": "Cole JH, et al. (2018). Brain age predicts mortality. Molecular Psychiatry 23:1385. "
    "doi:10.1038/mp.2017.62",
    "wang": "Wang Z, Yang J (2017). Diabetic Retinopathy Detection via Deep Convolutional Networks for "
    "Discriminative Localization and Visual Explanation. arXiv:1703.10757",
    "selvaraju": "Selvaraju RR, et al. (2017). Grad-CAM: Visual Explanations from Deep Networks via Gradient-"
    "based Localization. ICCV. arXiv:1610.02391",
}
_SHORT = {
    "crete": "Clément Crête et al. 2025",
    "zha": "Zha et al. 2023",
    "fisch": "Fisch et al. 2024",
    "tustison": "Tustison et al. 2010",
    "fonov": "Fonov et al. 2011",
    "vovk": "Vovk et al. 2005",
    "de_lange": "de Lange and Cole 2020",
    "cole": "Cole et al. 2018",
    "wang": "Wang and Yang 2017",
    "selvaraju": "Selvaraju et al. 2017",
}
_CONTRASTS = ("rnc", "rnc+l1")


@dataclass(frozen=True, slots=True)
class Methods:
    """A paragraph, and the sources that it names."""

    text: str
    sources: tuple[str, ...]


def methods(facts: RunFacts, *, mapped: bool = True) -> Methods:
    """Return how the ages of a run were read, as sentences for a paper.

    Parameters
    ----------
    facts : RunFacts
    mapped : bool
        Maps of where the years come from were made as well.
    """
    used: dict[str, None] = {}

    def cite(*names: str) -> str:
        used.update(dict.fromkeys(names))
        return f"({'; '.join(_SHORT[name] for name in names)})"

    parts = [_model(facts, cite("crete", "zha") if facts.model.objective in _CONTRASTS else cite("crete"))]
    versions, settings = facts.versions, facts.settings
    bias = (
        f" corrected for its bias field by N4 {cite('tustison')} in SimpleITK {_of(versions, 'SimpleITK')},"
        if settings.bias == "n4"
        else ""
    )
    spacing = " × ".join(f"{side:g}" for side in np.round(settings.grid.spacing_mm, 3))
    parts.append(
        "Each scan was turned upright, the brain extracted by deepbet "
        f"{_of(versions, 'deepbet')} {cite('fisch')},{bias} registered to the ICBM 2009a nonlinear "
        f"symmetric template {cite('fonov')} by an affine map of 12 parameters, interpolated to {spacing} mm "
        "and divided by the 95th percentile of the brain. Scans outside the limits of the quality gates were "
        "refused."
    )
    calibration, bias_line = facts.model.calibration, facts.model.age_bias
    if calibration is not None:
        parts.append(
            f"Intervals are conformal {cite('vovk')}, from the errors on {calibration.people} healthy people "
            "whom the model had not seen, by predicted age."
        )
    if bias_line is not None:
        parts.append(
            f"Corrected gaps were freed from age bias {cite(bias_line.method)} by the line of "
            f"{bias_line.people} such people; no accuracy was computed from them."
        )
    if mapped:
        parts.append(
            "Maps of years are Grad-RAM, the regression activation map of the last layer "
            f"{cite('wang', 'selvaraju')}, signed and without rectification, so that they add up to the "
            "predicted age minus the intercept."
        )
    return Methods(" ".join(parts), tuple(SOURCES[name] for name in SOURCES if name in used))


def _model(facts: RunFacts, cited: str) -> str:
    model = facts.model
    people = sum(cohort.participants for cohort in model.cohorts)
    names = ", ".join(cohort.name for cohort in model.cohorts)
    low, high = model.training_ages
    networks = "one network" if model.members == 1 else f"the mean of {model.members} networks"
    trained = (
        "trained with Rank-N-Contrast" if model.objective in _CONTRASTS else f"trained with {model.objective}"
    )
    return (
        "Brain ages were read from T1-weighted scans with brainclock "
        f"{_of(facts.versions, 'brainclock')} {cited}, model {model.identity}: {networks} {trained} on "
        f"{people} healthy people of {low:.0f} to {high:.0f} years ({names})."
    )


def _of(versions: Mapping[str, str], name: str) -> str:
    return versions.get(name, "of an unknown version")
