"""What the columns of the tables of explanations mean."""

from __future__ import annotations

from brainclock.explain.explain import METHODS

_YEARS = "years"
_WHO: dict[str, dict[str, object]] = {
    "participant_id": {"Description": "Participant; of a loose file, made from its name."},
    "session_id": {"Description": "Session of the participant."},
    "key": {"Description": "Name of the scan in this run and of all files made from it."},
    "method": {"Description": "How the map was made.", "Levels": METHODS},
}

#: explanations.tsv: one row a scan and method.
EXPLANATIONS: dict[str, dict[str, object]] = {
    **_WHO,
    "layer": {"Description": "Layer of the network at which the map was made; n/a for the image itself."},
    "predicted_age": {"Description": "Age read from the image, raw.", "Units": _YEARS},
    "intercept": {
        "Description": "What the shares are counted from: the regressor's intercept, or the age of the "
        "baseline. n/a where the shares are not meant to add up.",
        "Units": _YEARS,
    },
    "sum": {"Description": "Sum of the map over all voxels, in its unit."},
    "completeness_error": {
        "Description": "sum − (predicted_age − intercept): 0 where the map adds up.",
        "Units": _YEARS,
    },
    "unit": {"Description": "Unit of the map."},
    "outside_share": {"Description": "Part of the absolute map outside of the brain mask, 0 to 1."},
    "edge_share": {"Description": "Part of the absolute map within 4 mm of the border of the brain mask."},
    "entropy": {
        "Description": "Spatial entropy of the absolute map in the brain over that of an even map, 0 to 1."
    },
    "effective_resolution_mm": {
        "Description": "Smoothness of the map as a width at half height.",
        "Units": "mm",
    },
    "regions_for_80": {"Description": "Number of regions, largest first, that make up 80 % of the map."},
    "gap": {
        "Description": "Predicted age minus that to be expected of healthy people of the same age.",
        "Units": _YEARS,
    },
    "reliable": {
        "Description": "Whether the method found planted changes with this model.",
        "Levels": {"yes": "it did", "no": "it did not", "untested": "it was not tried"},
    },
    "map": {"Description": "The map on the model grid, from this folder on."},
    "status": {
        "Description": "Whether the scan was explained.",
        "Levels": {"ok": "explained", "failed": "not explained; the reason column says why"},
    },
    "reason": {"Description": "Why the scan failed: the gate, the figure and its limits."},
}

#: regions.tsv: one row a scan, method and region.
REGIONS: dict[str, dict[str, object]] = {
    **_WHO,
    "region": {
        "Description": "Region, both sides; the last two rows are the rest of the brain and the outside."
    },
    "volume_ml": {"Description": "Volume in template space, which is larger than most heads.", "Units": "ml"},
    "share": {"Description": "Sum of the map over the region, in its unit; positive means older."},
    "absolute_share": {"Description": "Part of the absolute map in the region, 0 to 1."},
    "gap_years": {
        "Description": "Years more than to be expected of healthy people of the same age; all regions add "
        "up to the gap.",
        "Units": _YEARS,
    },
    "gap_low": {
        "Description": "Lower end of the 95 % bootstrap interval over the healthy people.",
        "Units": _YEARS,
    },
    "gap_high": {"Description": "Upper end of the interval.", "Units": _YEARS},
    "healthy_sd": {
        "Description": "Standard deviation of gap_years among the healthy people.",
        "Units": _YEARS,
    },
}

#: agreement.tsv: one row a scan and pair of methods.
AGREEMENT: dict[str, dict[str, object]] = {
    **_WHO,
    "other": {"Description": "The method it is compared with.", "Levels": METHODS},
    "spearman": {"Description": "Rank correlation of the two maps over the voxels of the brain."},
    "spearman_absolute": {"Description": "The same for absolute values."},
    "ssim": {"Description": "Mean structural similarity, each map divided by its root mean square."},
    "top_overlap": {"Description": "Dice overlap of the 5 % of voxels with the largest absolute values."},
}
