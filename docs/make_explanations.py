"""Write docs/explanations.md from docs/explanations/.

docs/run_explanations.py and benchmarks/planted.py make what is there.

Run ``python docs/make_explanations.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brainclock.explain.planted import LEAST_RATIO, LEAST_SIGN

HERE = Path(__file__).parent
PAGE = HERE / "explanations.md"
FIGURES = HERE / "explanations"
MODELS = ("whole-brain", "slab")
OBJECTIVES = {"rnc": "RNC", "l1": "L1"}

HEAD = """# Maps put to the test

<!-- Written by docs/make_explanations.py from docs/explanations/: run the commands, replace the figures. -->

Whether the maps of [`brainclock explain`](explaining.md) may be believed, and what they say of ageing. A
map looks convincing whether or not it is right, so each claim here is a number that could have come out
otherwise. Real people are in it as means alone."""
PLANTED = f"""## Changes that were planted

Pairs of simulated brains differ in one structure, which makes the second look older (larger ventricles, or
less tissue elsewhere). Mass is the part of the map's absolute change that falls into the structure and 4 mm
around it; over chance, it is divided by that region's part of the brain. AUC is the chance that a voxel of
the region changes more than one elsewhere. A method passes with {LEAST_RATIO:g} times the mass of chance
and the right sign in {100 * LEAST_SIGN:g} % of the pairs, for ventricles and medial temporal lobe both; the
best of those that pass is the one that `explain` shows when no method is named. `grad-ram at ...` is
activation times gradient at an earlier layer. SmoothGrad is shown and not judged: a sensitivity says
neither older nor younger, so that its sign is none. (That was decided after its
first pairs were seen; judged, it would not have passed.)"""
RANDOMISED = """## Maps of spoiled models

A map that survives when the model's weights are exchanged at random shows the brain, not the model. The
weights are spoiled from the regressor down, one layer more in each row; 1 is the same map, 0 no likeness.
Absolute values of integrated gradients stay alike whatever the weights: they are weighted differences of
this brain from the mean brain, and those stay. Means over {scans} {whose}."""
FAITHFUL = """## Does the age move where the map says?

Tissue of the mean brain of the same age is put in, in the order of the absolute map (deletion), or the
scan's tissue is put into that mean brain (insertion). The number is the area under the moved years: a map
that knows where the age is read moves it sooner than noise of the same smoothness, or the edges of the
scan. Means over {scans} {whose}."""
AGEING = """## What the maps say of ageing

The map to be expected of healthy people at each age is a quadratic fit to the Grad-RAM maps of {people}
people of {youngest:.0f} to {oldest:.0f} years, each read by the member of `{name}` that had not seen that
person. The predicted age to be expected rises from {first:.1f} years at {young:.0f} to {last:.1f} at
{old:.0f}; the regions add up to that. In brackets 95 % bootstrap intervals over people; the last column
says how much healthy people of one age differ.

![Where the age to be expected at 50 years comes from](pictures/age_map.svg)

![Where the rise from {young:.0f} to {old:.0f} years comes from](pictures/age_map_change.svg)
"""
NETWORKS = """## Rank-N-Contrast against L1

The paper shows maps of both and calls those of Rank-N-Contrast more nuanced. Here the same network was
trained with each objective ({seeds} seeds, {steps} steps, {training} people of IXI, without the part that
reads the image itself), and {looked_at} of the {held_out} people held out were mapped. Mean absolute error
of those held out: {maes} (of the median age: {naive:.1f}).

Entropy: 1 is an even map. Regions: how many, largest first, make up 80 % of the map. Seeds: rank
correlation of the maps of one scan by two seeds. People: that of two people's maps by one network. Retest:
the scan with another contrast, bias field, sharpness, noise and border; correlation of the regional
profile, and intraclass correlation of a region's years over people (median of regions)."""
LABELS = """### Ages dealt out at random

The same network trained on ages that were exchanged among the people ({mae:.1f} years off on those held
out) should have other maps: rank correlation with the true network's."""
RETESTS = """## People scanned twice

{people} people of OASIS-1 were scanned again within 90 days (`slab`). `slab` has trained on them. Their
predicted ages differ by {years:.1f} years on the average; the profile of years by region correlates
{profile:.3f} within a person, and the intraclass correlation of a region's years over people is {icc:.2f}
(median of regions)."""
LIMITS = """## What such maps can't say

- **Not what causes ageing, and not what is wrong with a person.** A map takes the model's arithmetic apart.
  Tissue that ages together shares the years in a way that another model, as accurate, shares otherwise.
- **Half of the age points coarsely.** In `whole-brain` the network's last feature map has voxels of 64 mm. Its
  years are spread over what the network sees of the brain in reach of each voxel, so that the sum holds; that
  is a convention, not a measurement. What points is the part that reads the image in blocks.
- **The network alone tells no fine story.** The table by objective above says how far two seeds of like
  accuracy agree about where the years are.
- **Planted changes are simulated**, clean changes of volume of one structure. Lesions, artefacts, and
  whatever changes contrast were not tried.
- **A structure that the map passes over may still age.** The table above has structures on which methods
  fail: where the sign is wrong, the model itself takes shrinkage there for youth or nothing, and the map
  says so truly.
- **Intervals are about the mean of healthy people**, not about one scan. A regional gap within two standard
  deviations of healthy people is nothing unusual."""
COMMANDS = """## Commands

```
brainclock reference ixi ds002748 --held-out whole-brain/validation.tsv -o reference
python benchmarks/planted.py --reference reference --scans ixi --count 3 --pairs 20 --other-pairs 3 \\
  --seed {planted_seed} --write \\
  --save docs/explanations/whole-brain.json
python docs/run_explanations.py ageing reference
python docs/run_explanations.py networks ixi work --seeds {seeds}
python docs/run_explanations.py retests oasis1-slab --model slab
python docs/make_explanations.py
```"""


def explanations_page() -> str:
    """Return the page as Markdown; what was not measured is left out."""
    parts = [HEAD, PLANTED]
    tried = {name: found for name in MODELS if (found := _read(name))}
    parts += [_planted(name, found) for name, found in tried.items()]
    for text, show in ((RANDOMISED, _randomised), (FAITHFUL, _faithful)):
        for name, found in tried.items():
            whose = f"{'real' if found['real_scans'] else 'simulated'} brains, `{name}`"
            parts += [text.format(scans=found["scans"], whose=whose), show(found)]
    if found := _read("ageing"):
        parts += [_ageing(found)]
    networks = _read("networks")
    if networks:
        parts += [_networks(networks)]
    if found := _read("retests-slab"):
        profile, icc = found["retest_profile"], found["retest_icc"]
        years = found["mean_difference_years"]
        parts += [RETESTS.format(people=found["people"], years=years, profile=profile, icc=icc)]
    parts += [
        LIMITS,
        COMMANDS.format(seeds=networks.get("seeds", 2), planted_seed=_read("whole-brain").get("seed", 1)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _read(name: str) -> dict[str, Any]:
    path = FIGURES / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _planted(name: str, found: Mapping[str, Any]) -> str:
    rows = [
        [
            _words(row["structure"]),
            row["method"],
            str(row["pairs"]),
            f"{row['ratio']:.1f}",
            f"{row['mass']:.2f}",
            f"{row['auc']:.2f}",
            f"{100 * row['sign_right']:.0f} %",
        ]
        for row in found["planted"]
    ]
    head = ["structure", "method", "pairs", "mass over chance", "mass", "AUC", "sign right"]
    return f"### `{name}`\n\n**{found['reason']}**\n\n{_table(head, rows)}"


def _randomised(found: Mapping[str, Any]) -> str:
    rows = [
        [row["method"], row["layer"], *_numbers(row, ("spearman", "spearman_absolute", "ssim"))]
        for row in found["randomised"]
    ]
    return _table(["method", "spoiled down to", "Spearman", "Spearman of absolute", "SSIM"], rows)


def _faithful(found: Mapping[str, Any]) -> str:
    rows = [
        [row["map"], *_numbers(row, ("deletion_years", "insertion_years"))] for row in found["faithfulness"]
    ]
    return _table(["map", "deletion, years", "insertion, years"], rows)


def _ageing(found: Mapping[str, Any]) -> str:
    first, _, last = found["expected_ages"]
    youngest, oldest = found["ages"]
    text = AGEING.format(
        people=found["people"],
        youngest=youngest,
        oldest=oldest,
        name=found["model"].split("-1+")[0],
        first=first,
        last=last,
        young=found["from"],
        old=found["to"],
    )
    rows = [
        [
            _words(row["region"]),
            f"{row['years']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})",
            f"{row['healthy_sd']:.2f}",
        ]
        for row in sorted(found["regions"], key=lambda row: -row["years"])
    ]
    head = ["region", f"years from {found['from']:.0f} to {found['to']:.0f}", "SD of healthy people"]
    return text + "\n" + _table(head, rows)


def _networks(found: Mapping[str, Any]) -> str:
    maes = ", ".join(
        f"{OBJECTIVES[objective]} {' and '.join(f'{mae:.1f}' for mae in each)}"
        for objective, each in found["mae"].items()
    )
    names = ("seeds", "steps", "training", "looked_at", "held_out")
    text = NETWORKS.format(maes=maes, naive=found["naive_mae"], **{name: found[name] for name in names})
    keys = ("entropy", "effective_resolution_mm", "inside_share", "edge_share", "regions_for_80")
    keys += ("seeds_alike", "people_alike", "retest_profile", "retest_icc")
    rows = [[row["method"], OBJECTIVES[row["objective"]], *_numbers(row, keys)] for row in found["nuance"]]
    head = ["method", "network", "entropy", "resolution, mm", "inside", "edge", "regions"]
    table = _table([*head, "seeds", "people", "retest profile", "retest ICC"], rows)
    labels = [[row["method"], *_numbers(row, ("spearman", "ssim"))] for row in found["random_labels"]]
    return "\n\n".join(
        [
            text,
            table,
            _nuance_in_words(found["nuance"]),
            LABELS.format(mae=found["mae_random"]),
            _table(["method", "Spearman", "SSIM"], labels),
        ]
    )


def _nuance_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say of each method whether one network's maps are finer by more than its seeds differ."""
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = {row["objective"]: row["by_seed"] for row in rows if row["method"] == method}
        said = [
            f"{what} {_compare(own['rnc'][key], own['l1'][key])}"
            for key, what in (("entropy", "entropy"), ("regions_for_80", "number of regions"))
        ]
        lines.append(f"- {method}: {', '.join(said)}.")
    return "Of Rank-N-Contrast against L1, seed by seed:\n\n" + "\n".join(lines)


def _compare(rnc: Sequence[float], l1: Sequence[float]) -> str:
    if min(len(rnc), len(l1)) < 2:
        return "not compared, with one seed"
    if min(rnc) > max(l1):
        return "larger in every seed"
    if max(rnc) < min(l1):
        return "smaller in every seed"
    return "no different beyond what seeds differ by"


def _numbers(row: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    return ["" if row[key] is None else f"{row[key]:.2f}" for key in keys]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(explanations_page(), encoding="utf-8")
