"""What is installed because brainclock needs it: a bill of materials with licences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

#: Licences under which changes to the package itself must be given on.
_COPYLEFT = re.compile(r"GPL|MPL|EPL|CDDL|Mozilla")
#: Shared libraries that wheels bring along and whose licence differs from that of the package.
LIBRARIES: dict[str, str] = {
    "libgfortran": "GPL-3.0 with the GCC runtime library exception",
    "libgomp": "GPL-3.0 with the GCC runtime library exception",
    "libquadmath": "LGPL-2.1-or-later",
}


#: An installed package; a library that brings finders of its own gives objects of its own class, too.
Installed = Any


@dataclass(frozen=True, slots=True)
class Component:
    """One installed package.

    Parameters
    ----------
    name, version : str
    licence : str
        As its metadata say it, an SPDX expression where there is one; empty where they say nothing.
    libraries : tuple of str
        Those of `LIBRARIES` that it brings along.
    """

    name: str
    version: str
    licence: str
    libraries: tuple[str, ...]

    @property
    def copyleft(self) -> bool:
        """Whether the package is under the GPL, the LGPL, the MPL or their like."""
        return bool(_COPYLEFT.search(self.licence))


def installed_components(root: str = "brainclock") -> list[Component]:
    """Return a package and all that it needs, directly or not, as it is installed here, sorted by name.

    What an extra asks for is not counted, nor what is needed on other systems only.
    """
    from packaging.requirements import Requirement

    found: dict[str, Installed] = {}
    waiting = [root]
    while waiting:
        name = normalised(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # the doctor says so
            continue
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return [
        Component(name, package.version, _licence(package), _libraries(package))
        for name, package in sorted(found.items())
    ]


def normalised(name: str) -> str:
    """Return the name of a package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence(package: Installed) -> str:
    """Return the SPDX expression, else the classifiers, else the first line of the free text."""
    metadata = package.metadata
    for expression in metadata.get_all("License-Expression") or []:
        return str(expression)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or []
        if text.startswith("License ::") and not text.endswith("OSI Approved")
    ]
    return ", ".join(classifiers) or "".join(metadata.get_all("License") or []).partition("\n")[0]


def _libraries(package: Installed) -> tuple[str, ...]:
    bundled = {file.name.partition("-")[0].partition(".")[0] for file in package.files or []}
    return tuple(sorted(bundled & set(LIBRARIES)))
