from dataclasses import replace
from pathlib import Path

import pytest

from brainclock.io.scan import Scan
from brainclock.model.card import ModelCard
from brainclock.model.folder import load_model
from brainclock.predict.flags import FLAGS, flag_age, flag_prediction, flag_scan
from brainclock.stats.age_bias import AgeBiasCorrection

LINE = AgeBiasCorrection("de_lange", 39, (30.0, 70.0), 0.8, 10.0, (0.7, 0.9))
SCAN = Scan("sub-1", "sub-1", Path("a.nii.gz"))


@pytest.fixture(scope="module")
def card(model_folder: Path) -> ModelCard:
    return load_model(model_folder).card  # 20 to 80 years; of 60 to 70 three people, of 70 to 80 one


@pytest.mark.parametrize(
    ("predicted_age", "unfamiliarity", "flags"),
    [
        (45.0, 0.9, ()),
        (45.0, 1.1, ("unlike_training_scans",)),
        (59.9, 0.5, ()),
        (60.1, 0.5, ("few_training_people_of_this_age",)),
        (80.0, 0.5, ("few_training_people_of_this_age",)),
        (80.1, 0.5, ("predicted_age_outside_training_ages", "few_training_people_of_this_age")),
        (
            12.0,
            3.0,
            (
                "predicted_age_outside_training_ages",
                "few_training_people_of_this_age",
                "unlike_training_scans",
            ),
        ),
    ],
)
def test_flags_of_a_prediction(
    card: ModelCard, predicted_age: float, unfamiliarity: float, flags: tuple[str, ...]
) -> None:
    assert flag_prediction(predicted_age, unfamiliarity, card) == flags


@pytest.mark.parametrize(
    ("age", "flags"),
    [
        (None, ()),
        (20.0, ()),
        (80.0, ()),
        (19.9, ("age_outside_training_ages",)),
        (81.0, ("age_outside_training_ages",)),
    ],
)
def test_flags_of_the_true_age(card: ModelCard, age: float | None, flags: tuple[str, ...]) -> None:
    assert flag_age(replace(SCAN, age=age), card) == flags


def test_flags_of_how_a_scan_came() -> None:
    assert flag_scan(SCAN) == ()
    assert flag_scan(replace(SCAN, stripped=True, in_template=True, mask_path=Path("m.nii"))) == (
        "given_mask",
        "already_stripped",
        "in_template_space",
    )
    assert flag_scan(SCAN, given_mask=True) == ("given_mask",)


def test_every_flag_is_described(card: ModelCard) -> None:
    everything = replace(SCAN, stripped=True, in_template=True, age=5.0)
    raised = {
        *flag_prediction(5.0, 2.0, card),
        *flag_age(everything, card),
        *flag_age(everything, card.model_copy(update={"age_bias": LINE})),
        *flag_scan(everything, given_mask=True),
    }
    assert raised | {"refused_when_turned"} == set(FLAGS)  # the last: tests of the stability


@pytest.mark.parametrize(("age", "flagged"), [(29.9, True), (30.0, False), (70.0, False), (71.0, True)])
def test_ages_outside_the_correction_are_flagged(card: ModelCard, age: float, flagged: bool) -> None:
    corrected = card.model_copy(update={"age_bias": LINE})
    assert ("age_outside_correction" in flag_age(replace(SCAN, age=age), corrected)) == flagged
    assert "age_outside_correction" not in flag_age(replace(SCAN, age=age, age_censored=True), corrected)
