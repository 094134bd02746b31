"""The command ``brainclock``: its subcommands, and what becomes of an error.

Exit codes: 0 all is well, 1 some scans have no age (the rest is done), 2 the input, an option or an output is
at fault, 130 stopped by the keyboard.
"""

from __future__ import annotations

import errno
import functools
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from brainclock import __version__
from brainclock.cli.bids import bids_command, is_bids_line, one_label_each
from brainclock.cli.calibrate import calibrate_command
from brainclock.cli.compare import compare_command
from brainclock.cli.demo import demo_command
from brainclock.cli.doctor import doctor_command
from brainclock.cli.evaluate import evaluate_command
from brainclock.cli.explain import explain_command
from brainclock.cli.gap import gap_command
from brainclock.cli.predict import predict_command
from brainclock.cli.prepare import prepare_command
from brainclock.cli.reference import reference_command
from brainclock.cli.reliability import reliability_command
from brainclock.cli.report import report_command
from brainclock.cli.simulate import simulate_command
from brainclock.cli.train import train_command
from brainclock.errors import BrainclockError

#: The commands in the order of the help, each with its line there.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "predict": (predict_command, "Read the age of each brain"),
    "bids": (bids_command, "The same as a BIDS App"),
    "evaluate": (evaluate_command, "Measure predicted ages against true ages"),
    "gap": (gap_command, "Compare the gap between groups and with severity"),
    "reliability": (reliability_command, "Measure how predicted ages repeat"),
    "report": (report_command, "Write a page for each scan and one for all"),
    "explain": (explain_command, "Show where the years come from"),
    "train": (train_command, "Train a model on healthy people of known ages"),
    "compare": (compare_command, "Compare ways to train on the same people"),
    "calibrate": (calibrate_command, "Shift a model to another scanner"),
    "prepare": (prepare_command, "Bring raw heads onto the grid of a model"),
    "reference": (reference_command, "Learn what healthy people look like to a model"),
    "doctor": (doctor_command, "Check the installation and the model"),
    "simulate": (simulate_command, "Simulate a cohort of heads that age, with known truth"),
    "demo": (demo_command, "Read the age of a simulated head"),
}

_DEBUG = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
_QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no warnings; results and errors.")]

#: What can go wrong with a disk that no room of the package has put into words.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the name of the program; those of the process if left out. None at all shows the help.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if is_bids_line(given, list(COMMANDS)):
        given.insert(0, "bids")
    if given[:1] == ["bids"]:
        given = one_label_each(given)
    try:
        code = app()(given or ["--help"], prog_name="brainclock", standalone_mode=False)
    except typer.TyperException as error:  # of the command line itself, before a command began
        context = getattr(error, "ctx", None)
        command = "brainclock" if context is None else context.command_path
        _say(f"{error.format_message().rstrip('.')}. See {command} --help.")
        return 2
    return code if isinstance(code, int) else 0


def app() -> typer.Typer:
    """Return the commands, ready to be called."""
    # plain help: twice as quick as rich's, and no frames in logs and pipes
    made = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    made.callback()(_brainclock)
    for name, (function, line) in COMMANDS.items():
        made.command(name, short_help=line)(_with_sentences(function))
    return made


def _show_version(wanted: bool) -> bool:
    if not wanted:
        return wanted
    import os
    import platform

    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    typer.echo(f"brainclock {__version__}")
    typer.echo(f"Python {platform.python_version()}, torch {torch.__version__}, {device}")
    raise typer.Exit


def _brainclock(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show versions and device.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Read the age of a brain from a T1-weighted MRI scan. Not a medical device."""


def _with_sentences(function: Callable[..., None]) -> Callable[..., None]:
    """Return the command with --debug and --quiet, whose errors are a line on stderr and an exit code."""

    @functools.wraps(function)
    def command(*, debug: bool, quiet: bool, **options: Any) -> None:
        _log(logging.ERROR if quiet else logging.INFO)
        try:
            function(**options)
        except (KeyboardInterrupt, MemoryError, BrainclockError, OSError) as error:
            if (
                isinstance(error, OSError)
                and not isinstance(error, BrainclockError)
                and error.errno not in _DISK
            ):
                raise  # a bug
            if debug:
                traceback.print_exc()
            _say(_sentence(error))
            raise typer.Exit(130 if isinstance(error, KeyboardInterrupt) else 2) from error

    signature = inspect.signature(function, eval_str=True)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("quiet", _QUIET), ("debug", _DEBUG))
    ]
    both = signature.replace(parameters=[*signature.parameters.values(), *shared])
    command.__signature__ = both  # type: ignore[attr-defined]
    return command


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "stopped."
    if isinstance(error, MemoryError):
        return "there is not enough memory. Use fewer --workers or another machine."
    if isinstance(error, OSError) and not isinstance(error, BrainclockError):
        return (
            f"{error.filename or 'a file'}: {error.strerror}. Choose another place, or make room or access."
        )
    return str(error)


def _say(sentence: str) -> None:
    typer.echo(f"brainclock: {' '.join(sentence.split())}", err=True)


class _Log(logging.Handler):
    """Writes to what stderr is at that moment, so that lines and a progress bar do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        typer.echo(self.format(record), err=True)


def _log(level: int) -> None:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where there is no home it complains, and works
    logger = logging.getLogger("brainclock")
    logger.setLevel(level)
    if not any(isinstance(handler, _Log) for handler in logger.handlers):
        logger.addHandler(_Log())
