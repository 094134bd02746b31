from __future__ import annotations

from html.parser import HTMLParser

from brainclock.predict.brain_age import BrainAge
from brainclock.predict.flags import FLAGS


class Tree(HTMLParser):
    """Text and open elements; fails where elements are not nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.shapes: list[dict[str, str | None]] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shapes.append({"tag": tag, **dict(attrs)})

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def answer(**changes: object) -> BrainAge:
    values: dict[str, object] = {
        "predicted_age": 53.04,
        "status": "ok",
        "reason": None,
        "flags": ("unlike_training_scans",),
        "quality": {"brain_volume_ml": 1432.12345, "unfamiliarity": float("nan")},
        "model": "tiny-1+00000000",
        "predicted_age_low": 44.0,
        "predicted_age_high": 62.0,
    }
    return BrainAge(**{**values, **changes})  # type: ignore[arg-type]


def test_a_notebook_shows_age_interval_flags_and_quality() -> None:
    shown = Tree(answer(older_than=50.0, probability_older=0.71)._repr_html_())
    assert "53.0 years 90 % interval 44.0 to 62.0; older than 50: 71 %" in shown.text
    assert FLAGS["unlike_training_scans"] in shown.text
    assert "brain_volume_ml 1432.12 ml" in shown.text
    assert "unfamiliarity n/a" in shown.text
    assert "tiny-1+00000000. For research only; not a medical device." in shown.text


def test_the_interval_is_drawn_to_scale() -> None:
    shapes = Tree(answer()._repr_html_()).shapes
    (dot,) = [shape for shape in shapes if shape["tag"] == "circle"]
    (bar,) = [shape for shape in shapes if "stroke-opacity" in shape]
    assert (float(bar["x1"] or 0), float(dot["cx"] or 0), float(bar["x2"] or 0)) == (176.0, 212.2, 248.0)


def test_an_age_without_an_interval_has_no_line() -> None:
    shown = Tree(answer(predicted_age_low=None, predicted_age_high=None)._repr_html_())
    assert shown.text.startswith("53.0 years")
    assert not shown.shapes


def test_a_refused_scan_shows_its_reason_and_no_number() -> None:
    refused = answer(predicted_age=None, status="failed", reason="contrast: 0.01 < 0.05", quality={})
    html = refused._repr_html_()
    assert Tree(html).text.startswith("No age. contrast: 0.01 < 0.05 ")
    assert "years" not in html.split("</p>")[0]
    assert "&lt;" in html
