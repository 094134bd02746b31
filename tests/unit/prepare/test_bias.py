from __future__ import annotations

import numpy as np

from brainclock.prepare.bias import correct_bias
from brainclock.prepare.template import load_template

SPACING = (4.0, 4.0, 4.0)


def brain() -> tuple[np.ndarray, np.ndarray]:
    template = load_template()
    return template.t1[::2, ::2, ::2].copy(), template.mask[::2, ::2, ::2].copy()


def smooth_field(shape: tuple[int, ...]) -> np.ndarray:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return np.exp(0.35 * x + 0.25 * y * z - 0.3 * z**2).astype(np.float32)


def unevenness(ratio: np.ndarray) -> float:
    return float(ratio.std() / ratio.mean())


def test_a_planted_field_is_taken_out() -> None:
    data, mask = brain()
    field = smooth_field(data.shape)
    before = unevenness(field[mask])
    even = correct_bias(data, mask, SPACING)
    corrected = correct_bias(data * field, mask, SPACING)
    assert before > 0.12
    assert unevenness(corrected[mask] / even[mask]) < 0.1 * before


def test_neither_what_surrounds_the_brain_nor_the_unit_matters() -> None:
    data, mask = brain()
    rng = np.random.default_rng(0)
    surrounded = np.where(mask, data, rng.uniform(0, 3, data.shape)).astype(np.float32)
    plain = correct_bias(data, mask, SPACING)
    np.testing.assert_array_equal(correct_bias(surrounded, mask, SPACING)[mask], plain[mask])
    large = correct_bias(data * np.float32(256), mask, SPACING)
    assert np.abs(large[mask] / plain[mask] / 256 - 1).max() < 0.02


def test_the_number_of_threads_does_not_matter() -> None:
    import SimpleITK as sitk  # noqa: N813

    data, mask = brain()
    results = []
    for threads in (1, 3):
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        results.append(correct_bias(data, mask, SPACING).tobytes())
    assert results[0] == results[1]
