"""How the answer for one scan looks in a notebook: a fragment of HTML that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from brainclock.predict.flags import FLAGS
from brainclock.prepare.quality import MEASURES, written

if TYPE_CHECKING:
    from brainclock.predict.brain_age import BrainAge

#: Ages at the ends of the line, years, and its width.
_FIRST, _LAST, _WIDTH = 0.0, 100.0, 400.0
_TICKS = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)


def as_html(answer: BrainAge) -> str:
    """Return age, interval, flags and quality measures as HTML; colours are those of the notebook."""
    parts = [_headline(answer), _line(answer), _flags(answer), _quality(answer), _source(answer)]
    return f'<div style="max-width: 40em">{"".join(parts)}</div>'


def _headline(answer: BrainAge) -> str:
    if answer.predicted_age is None:
        return f"<p><strong>No age.</strong> {escape(answer.reason or '')}</p>"
    rest = []
    if answer.predicted_age_low is not None and answer.predicted_age_high is not None:
        ends = f"{answer.predicted_age_low:.1f} to {answer.predicted_age_high:.1f}"
        rest.append(f"{100 * answer.interval_level:g} % interval {ends}")
    if answer.probability_older is not None and answer.older_than is not None:
        rest.append(f"older than {answer.older_than:g}: {100 * answer.probability_older:.0f} %")
    if answer.stability_sd is not None:
        rest.append(f"on turned voxels: SD {answer.stability_sd:.2f} years")
    age = f'<strong style="font-size: 1.6em">{answer.predicted_age:.1f} years</strong>'
    return f"<p>{age} &ensp;{'; '.join(rest)}</p>"


def _line(answer: BrainAge) -> str:
    """Draw the age and its interval on a line of ages."""
    age, low, high = answer.predicted_age, answer.predicted_age_low, answer.predicted_age_high
    if age is None or low is None or high is None:
        return ""
    ticks = "".join(
        f'<line x1="{_at(tick):.1f}" x2="{_at(tick):.1f}" y1="18" y2="24" stroke="currentColor"/>'
        f'<text x="{_at(tick):.1f}" y="36" text-anchor="middle">{tick:g}</text>'
        for tick in _TICKS
    )
    label = f"{age:.1f} years, interval from {low:.1f} to {high:.1f}, on a line from 0 to 100 years"
    return (
        f'<svg role="img" aria-label="{label}" viewBox="-12 0 {_WIDTH + 24:g} 40" '
        'style="width: 100%; font: 11px sans-serif" fill="currentColor">'
        f'<line x1="0" x2="{_WIDTH:g}" y1="18" y2="18" stroke="currentColor"/>{ticks}'
        f'<line x1="{_at(low):.1f}" x2="{_at(high):.1f}" y1="10" y2="10" stroke="currentColor" '
        f'stroke-width="6" stroke-opacity="0.35"/><circle cx="{_at(age):.1f}" cy="10" r="5"/></svg>'
    )


def _at(age: float) -> float:
    return _WIDTH * (min(max(age, _FIRST), _LAST) - _FIRST) / (_LAST - _FIRST)


def _flags(answer: BrainAge) -> str:
    items = [f"<li><code>{flag}</code>: {escape(FLAGS.get(flag, ''))}</li>" for flag in answer.flags]
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _quality(answer: BrainAge) -> str:
    rows = []
    for name, value in answer.quality.items():
        meaning, unit = MEASURES.get(name, ("", None))
        cells = (escape(name), f"{written(value) or 'n/a'} {unit or ''}".strip(), escape(meaning))
        rows.append("<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in cells) + "</tr>")
    if not rows:
        return ""
    return f"<details><summary>Quality measures</summary><table>{''.join(rows)}</table></details>"


def _source(answer: BrainAge) -> str:
    return f"<p><small>{escape(answer.model)}. For research only; not a medical device.</small></p>"
