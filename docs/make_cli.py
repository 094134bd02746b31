"""Write docs/cli.md: every command and option, read off the commands themselves.

Run ``python docs/make_cli.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.main import get_command

from brainclock.cli.main import app

PAGE = Path(__file__).with_name("cli.md")

HEAD = """# The command line

<!-- Written by docs/make_cli.py: change src/brainclock/cli/ instead. -->

`brainclock COMMAND --help` says the same on the screen. Results go to stdout, the log and errors to stderr.
Every command also takes `--quiet` (`-q`: no progress, no warnings) and `--debug` (the traceback of an error);
`brainclock --version` shows the versions and the device.

| exit code | meaning |
|---|---|
| 0 | all is well |
| 1 | some scans have no age, or a check failed; the rest is done and written |
| 2 | the input, an option or an output is at fault; one line says which and what to do |
| 130 | stopped by the keyboard |"""


def cli_page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for name, command in get_command(app()).commands.items():
        parameters = [p for p in command.params if p.name not in ("quiet", "debug")]
        arguments = [_spelling(p) for p in parameters if p.param_type_name == "argument"]
        options = [
            f"{p.opts[0]} {_value(p)}" for p in parameters if p.param_type_name == "option" and p.required
        ]
        parts.append(
            f"\n## {name}\n\n```\nbrainclock {' '.join([name, *arguments, *options, '[OPTIONS]'])}\n```\n"
        )
        parts.append(f"{command.help}\n\n| option | default | meaning |\n|---|---|---|")
        parts += [f"| `{_spelling(p)}` | {_default(p)} | {_meaning(p)} |" for p in parameters]
    return "\n".join(parts) + "\n"


def _spelling(parameter: Any) -> str:
    """Return how an argument or option is written."""
    if parameter.param_type_name == "argument":
        return f"{parameter.name.upper()}..." if parameter.nargs < 0 else parameter.name.upper()
    return f"{', '.join(parameter.opts)} {_value(parameter)}".rstrip()


def _value(parameter: Any) -> str:
    """Return what stands for the value of an option, nothing for a switch."""
    return "" if parameter.is_flag else parameter.name.rstrip("_").upper()


def _meaning(parameter: Any) -> str:
    repeatable = parameter.param_type_name == "option" and parameter.multiple
    return f"{parameter.help} May be given several times." if repeatable else parameter.help


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return f"`{parameter.show_default}`"
    return "" if parameter.default in (None, False) else f"`{parameter.default}`"


if __name__ == "__main__":
    PAGE.write_text(cli_page(), encoding="utf-8")
