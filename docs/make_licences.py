"""Write docs/licences.md from the packages installed here; run ``python docs/make_licences.py``.

Only packages that constraints.txt pins are listed, so that the page is the same on every machine.
"""

from __future__ import annotations

from pathlib import Path

from brainclock.predict.licences import LIBRARIES, Component, installed_components, normalised

PAGE = Path(__file__).parent / "licences.md"
CONSTRAINTS = PAGE.parents[1] / "constraints.txt"
HEAD = """# Licences

<!-- Written by docs/make_licences.py. -->

brainclock is under [Apache-2.0](../LICENSE), and so are the weights of its models. What else comes with it:

| what | licence |
|---|---|
| the registration template, ICBM 2009a nonlinear symmetric, in the package | [its own terms](../src/brainclock/prepare/TEMPLATE-LICENSE.txt): free use with the notice |
| deepbet's networks that find the brain, in the package `deepbet` | MIT |

`pip install brainclock` also installs the packages below, with the versions that the tests run with. None of them is part of brainclock's own
files. What is installed on *your* machine says

```
brainclock doctor --licences
```

as a tab-separated table: name, version, licence as the package's metadata say it, and libraries inside of it that are under another one.

"""
GPU = """
PyTorch's builds for NVIDIA's GPUs bring further packages (`nvidia-…`, `triton`) under NVIDIA's and the MIT licence. They are not needed, and
PyTorch's build for CPUs comes without them.
"""


def licences_page() -> str:
    """Return the page as Markdown."""
    pinned = versions()
    parts = [one for one in installed_components() if one.name in pinned]
    weak = [one for one in parts if one.copyleft]
    lines = [HEAD + "## With conditions on changes to themselves\n"]
    lines.append(
        "Using and passing on these packages unchanged is free. Who changes *them* and passes that on has to give "
        "their source, and who passes on a container must let users exchange the LGPL parts, as pip does.\n"
    )
    lines += [f"- {one.name} {pinned[one.name]}: {one.licence}" for one in weak]
    for name, licence in LIBRARIES.items():
        inside = ", ".join(one.name for one in parts if name in one.libraries)
        if inside:
            lines.append(f"- {name}, inside of {inside}: {licence}")
    lines += ["\n## All packages\n", "| package | version | licence |", "|---|---|---|"]
    lines += [f"| {one.name} | {pinned[one.name]} | {one.licence or 'n/a'} |" for one in parts]
    return "\n".join([*lines, GPU])


def versions() -> dict[str, str]:
    """Return the pinned version of each package."""
    lines = (line.split("==") for line in CONSTRAINTS.read_text(encoding="utf-8").split())
    return {normalised(name): version for name, version in lines}


def differing(parts: list[Component]) -> list[str]:
    """Return the packages whose installed version is not the pinned one; a local part (+cpu) is none."""
    pinned = versions()
    return [one.name for one in parts if pinned.get(one.name, one.version) != one.version.partition("+")[0]]


if __name__ == "__main__":
    PAGE.write_text(licences_page(), encoding="utf-8")
