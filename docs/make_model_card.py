"""Write docs/model_card.md from the models that come with the package. Run ``python docs/make_model_card.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brainclock.model.card import ModelCard
from brainclock.model.folder import SHIPPED, shipped_models

PAGE = Path(__file__).parent / "model_card.md"
#: What a card does not say: where the cohorts come from and on what terms.
DATA = {
    "IXI": "[IXI](https://brain-development.org/ixi-dataset/), CC BY-SA 3.0",
    "ds002748": "[OpenNeuro ds002748](https://openneuro.org/datasets/ds002748), CC0",
    "OASIS": "OASIS-1 cross-sectional, its data use terms "
    "([doi:10.1162/jocn.2007.19.9.1498](https://doi.org/10.1162/jocn.2007.19.9.1498))",
}
HEAD = """# Model cards

<!-- Written by docs/make_model_card.py from the models in the package. -->

What the models that come with brainclock were made from, how well they do and what they are for. A model of your own has the same in
its `model.json` ([The model folder](model_folder.md)).
"""
LIMITS = """
## Known failures, of both

- **Scanners never seen.** Ages of a new scanner may be off by years in one direction, and a narrow range of ages is hardly told apart
  ([Results](results.md)). Check with healthy people of yours, and calibrate.
- **Ages beyond those who trained.** An extrapolation, flagged, never refused. No child has trained.
- **Regression to the middle.** The young are read too old and the old too young (the slope above). Gaps depend on age.
- **Lesions, resections, other contrasts** may pass the gates.
- **Left and right exchanged** cannot be seen: the template is symmetric.
- **Who trained** are few people of few places. Nothing is known about other ancestries and ways of life, about pregnancy, or athletes.
- **The map explains the model.** Which maps passed which tests is on the page [Where the years come from](explaining.md#which-map-is-right).
"""


def model_card_page() -> str:
    """Return the page as Markdown."""
    cards = [
        ModelCard.model_validate_json((SHIPPED / name / "model.json").read_text(encoding="utf-8"))
        for name in shipped_models()
    ]
    return "\n".join([HEAD, *(_card(card) for card in cards), LIMITS.lstrip()])


def _card(card: ModelCard) -> str:
    network = "network" if card.members == 1 else "networks, each trained without one fold of the people"
    if card.settings.regressor.blocks:
        network += ", and of as many linear models of the image"
    grid = card.settings.prepare.grid
    lines = [
        f"## `{card.name}`\n",
        f"**Intended use.** {card.intended_use}\n",
        "| | |",
        "|---|---|",
        f"| identity | `{card.identity}` |",
        f"| SHA-256 of the weights | `{card.weights_sha256}` |",
        f"| digest of the preparation | `{card.preparation}` |",
        f"| licence of the weights | {card.licence} |",
        f"| network | mean of {card.members} {network}: 3D ResNet-{card.settings.encoder.depth}, "
        f"objective `{card.settings.train.objective}`, on `{', '.join(card.settings.channels.channels)}` |",
        f"| what it sees | {'×'.join(map(str, grid.shape))} voxels of "
        f"{'×'.join(f'{side:g}' for side in grid.spacing_mm)} mm in MNI152 space |",
        "",
        "**Who trained it.** Healthy people, each counted once, at the youngest age.\n",
        "| cohort | people | ages | sex | data |",
        "|---|---|---|---|---|",
    ]
    for cohort in card.cohorts:
        data = next((text for name, text in DATA.items() if cohort.name.startswith(name)), "")
        sexes = ", ".join(f"{number} {sex}" for sex, number in cohort.sex.items())
        ages = f"{cohort.age_range[0]:.0f}–{cohort.age_range[1]:.0f}"
        lines.append(f"| {cohort.name} | {cohort.participants} | {ages} | {sexes} | {data} |")
    return "\n".join([*lines, "", *_errors(card)])


def _errors(card: ModelCard) -> list[str]:
    """Return what is known of the errors on people held out."""
    lines = [
        "**How well it does** on these people, each read by the member that has not seen that person. "
        "Errors with their intervals, by decade, sex and site: [Results](results.md).\n",
        "| people | scans | MAE, years | best constant, years | R² | mean error, years |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in card.metrics.items():
        if name.startswith("validation") and name != "validation_ridge":
            people = name.removeprefix("validation").removeprefix(", ") or "all"
            lines.append(f"| {people} | " + " | ".join(_cell(found, key) for key in _MEASURES) + " |")
    lines.append("")
    if card.calibration is not None:
        ages = np.array([*card.calibration.edges, card.calibration.edges[-1] + 1.0])
        low, high = card.calibration.interval(ages - 1.0, 0.9)
        widths = (high - low) / 2
        lines.append(
            f"**Intervals** come from {card.calibration.people} cross-fitted errors: 90 % of such people lie within "
            f"±{widths.min():.0f} to ±{widths.max():.0f} years, by predicted age.\n"
        )
    if card.age_bias is not None:
        slope, (low_slope, high_slope) = card.age_bias.slope, card.age_bias.slope_interval
        lines.append(
            f"**Age bias.** Predicted age rises by {slope:.2f} ({low_slope:.2f} to {high_slope:.2f}) a year of age.\n"
        )
    return lines


_MEASURES = ("n", "mae", "naive_mae", "r2", "mean_error")


def _cell(found: dict[str, float | None], key: str) -> str:
    value = found.get(key)
    if value is None:
        return ""
    return f"{value:.0f}" if key == "n" else f"{value:.2f}" if key == "r2" else f"{value:.1f}"


if __name__ == "__main__":
    PAGE.write_text(model_card_page(), encoding="utf-8")
