from __future__ import annotations

import errno
import inspect
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from brainclock import __version__
from brainclock.cli import main as cli
from brainclock.errors import InputError, OutputError

NUMBERS = {"torch", "scipy", "numpy", "nibabel", "nilearn", "SimpleITK", "deepbet", "pandas", "sklearn"}
HEAVY = NUMBERS | {"matplotlib", "jinja2", "rich", "lightning_fabric", "dask", "distributed"}


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    logger = logging.getLogger("brainclock")
    before = logger.level, list(logger.handlers)
    yield
    logger.level, logger.handlers = before[0], before[1]


@pytest.fixture
def chore(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Make ``brainclock chore`` do something."""

    def put(what: Callable[[], None]) -> None:
        def chore_command(n: int = 0) -> None:
            what()

        monkeypatch.setitem(cli.COMMANDS, "chore", (chore_command, "Do a chore"))

    return put


def raiser(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "words", [["--help"], [], *([name, "--help"] for name in cli.COMMANDS)], ids=" ".join
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "brainclock", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & HEAVY


def test_help_names_every_command_with_a_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, line) in cli.COMMANDS.items():
        assert f"  {name} " in shown
        assert f" {line}\n" in shown
    assert cli.main([]) == 0
    assert capsys.readouterr().out == shown


def test_every_file_of_the_room_is_a_command() -> None:
    files = {path.stem for path in Path(cli.__file__).parent.glob("*.py")} - {"__init__", "main"}
    assert files == set(cli.COMMANDS)
    for name, (function, _) in cli.COMMANDS.items():
        assert function.__name__ == f"{name}_command"
        assert function.__module__ == f"brainclock.cli.{name}"


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_option_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    function, _ = cli.COMMANDS[name]
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        (about,) = parameter.annotation.__metadata__
        assert about.help, f"{name} {parameter.name}"
    assert cli.main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--debug" in shown
    assert "--quiet" in shown


def test_version_says_what_a_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"brainclock {__version__}\n")
    assert "Python 3." in shown
    assert "torch 2." in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bogus"], "brainclock: No such command 'bogus'. See brainclock --help."),
        (["--bogus"], "brainclock: No such option: --bogus. See brainclock --help."),
        (["predict", "--xyz"], "brainclock: No such option: --xyz. See brainclock predict --help."),
        (["predict"], "brainclock: Missing argument 'inputs'. See brainclock predict --help."),
    ],
)
def test_a_wrong_command_line_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    shown = capsys.readouterr()
    assert shown.err == f"{said}\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InputError("a.nii", "two\nlines", "one", "Cut it."),
            "a.nii: found two lines, expected one. Cut it.",
        ),
        (OutputError("/out cannot be written: no space."), "/out cannot be written: no space."),
        (OSError(errno.ENOSPC, "No space left on device", "/out/a"), "/out/a: No space left on device. "),
        (OSError(errno.EACCES, "Permission denied"), "a file: Permission denied. "),
        (MemoryError(), "there is not enough memory. "),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    error: Exception, said: str, chore: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    chore(raiser(error))
    assert cli.main(["chore"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"brainclock: {said}")
    assert shown.count("\n") == 1


def test_debug_shows_where_it_went_wrong(
    chore: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    chore(raiser(InputError("a.nii", "nothing", "something", "Mend it.")))
    assert cli.main(["chore", "--debug"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert "in fail" in shown
    assert shown.endswith("brainclock: a.nii: found nothing, expected something. Mend it.\n")


@pytest.mark.parametrize("bug", [ValueError("a bug"), OSError(errno.EBADF, "a bug"), ZeroDivisionError()])
def test_a_bug_stays_a_traceback(bug: Exception, chore: Callable[..., None]) -> None:
    chore(raiser(bug))
    with pytest.raises(type(bug)):
        cli.main(["chore"])


def test_a_command_decides_its_exit_code(chore: Callable[..., None]) -> None:
    chore(raiser(typer.Exit(1)))
    assert cli.main(["chore"]) == 1
    chore(lambda: None)
    assert cli.main(["chore"]) == 0


def test_the_keyboard_stops_it_in_one_line(
    chore: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    chore(lambda: os.kill(os.getpid(), signal.SIGINT))
    assert cli.main(["chore"]) == 130
    assert capsys.readouterr().err == "brainclock: stopped.\n"


@pytest.mark.parametrize(
    ("words", "said"), [([], "one\ntwo\nthree\n"), (["--quiet"], "three\n"), (["-q"], "three\n")]
)
def test_the_log_goes_to_stderr(
    words: list[str], said: str, chore: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def speak() -> None:
        logger = logging.getLogger("brainclock")
        logger.debug("nothing")
        logger.info("one")
        logger.warning("two")
        logger.error("three")
        typer.echo("result")

    chore(speak)
    for _ in range(2):  # a second run in one process says nothing twice
        assert cli.main(["chore", *words]) == 0
        assert capsys.readouterr() == ("result\n", said)


def test_a_reader_that_went_away_is_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m brainclock predict --help | true",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
