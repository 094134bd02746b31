"""Headless Chromium, where there is one: what a page says once its scripts have run."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
)
_RESULT = re.compile(r'<pre id="result-of-the-test">(.*?)</pre>', re.DOTALL)
_TAIL = """<script>(async () => {
  let result;
  try { result = await (async () => { %s })(); } catch (error) { result = { error: String(error) }; }
  const shown = document.createElement("pre");
  shown.id = "result-of-the-test";
  shown.textContent = JSON.stringify(result);
  document.body.append(shown);
})();</script></body>"""
#: Rules of WCAG 2.1 A and AA, and good practice.
_AXE = """
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
  const found = await axe.run(document, { runOnly: { type: "tag", values: tags } });
  const told = (one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`;
  return [found.passes.length, found.violations.map(told)];
"""


def run_in_page(page: Path, script: str, folder: Path, *, width: int = 1280) -> tuple[Any, list[str]]:
    """Return what a script returns in a page, and the messages of the console.

    The script is the body of an async function and runs after those of the page. There is no network: no
    name is resolved.
    """
    browser = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("needs Chromium, which is not on this machine")
    tried = page.with_name(f"tried-{page.name}")
    text = page.read_text(encoding="utf-8")
    assert text.count("</body>") == 1
    tried.write_text(text.replace("</body>", _TAIL.replace("%s", script)), encoding="utf-8")
    command = [
        *(browser, *_QUIET, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1000"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0"),
        *("--virtual-time-budget=30000", "--dump-dom", tried.absolute().as_uri()),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    finally:
        tried.unlink()
        shutil.rmtree(folder / "profile", ignore_errors=True)
    found = _RESULT.search(done.stdout)
    assert found is not None, done.stderr[-2000:]
    result = json.loads(html.unescape(found[1]))
    assert not (isinstance(result, dict) and "error" in result), result
    return result, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def axe_violations(page: Path, folder: Path, *, width: int = 1280) -> list[str]:
    """Return what axe-core has against a page."""
    axe = pytest.importorskip("axe_core_python.base", reason="needs axe-core-python").AXE_SCRIPT
    (passes, violations), _ = run_in_page(page, axe + _AXE, folder, width=width)
    assert passes > 15
    return list(violations)
