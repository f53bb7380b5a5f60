"""The dispatcher: which command runs, what the help texts say, and what they import."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import COMMANDS
from pipeline.config import conf_dir
from tests.commands.conftest import code_of

HEAVY = ("torch", "transformers", "mlflow", "lancedb", "sqlalchemy", "matplotlib", "plotly")


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_the_help_lists_every_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of([word]) == 0
    listed = re.findall(r"^  ([a-z-]+)  +\w", capsys.readouterr().out, re.M)
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of([command, "--help"]) == 0
    shown = capsys.readouterr().out
    name = "" if command == "run" else f" {command}"
    assert shown.startswith("usage: python -m pipeline")
    assert f"  python -m pipeline{name} " in shown.partition("examples:\n")[2]
    assert max(map(len, shown.partition("keys, with")[0].splitlines())) <= 100
    assert code_of(["help", command]) == 0
    assert capsys.readouterr().out == shown


def test_the_help_of_a_point_lists_every_option_and_its_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert code_of(["arch=colbert", "--help"]) == 0
    groups, _, keys = capsys.readouterr().out.partition("\nkeys, ")
    for group in ("arch", "base", "dataset", "embedder", "experiment"):
        options = {path.stem for path in (conf_dir() / group).glob("*.yaml")} - {"model"}
        options = {name for name in options if not name.endswith("_published")}  # of report alone
        assert options <= set(re.findall(r"\w+", groups)), group
    assert "\n  learning_rate: " in keys
    assert "\n  name: colbert" in keys


def test_no_help_imports_a_heavy_library(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pipeline.__main__ import COMMANDS, dispatch\n"
        "for name in ('', *COMMANDS):\n"
        "    try: dispatch([*filter(None, [name]), '--help'])\n"
        "    except SystemExit: pass\n"
        f"print(sorted({HEAVY} & sys.modules.keys()))"
    ).replace(str(HEAVY), str(set(HEAVY)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
        env={"PYTHONPATH": str(Path.cwd())},
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "meant"),
    [("swep", "sweep"), ("clean_cache", "clean-cache"), ("reprot", "report"), ("xyzzy", None)],
)
def test_a_word_that_is_no_command_is_one_line(
    word: str, meant: str | None, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of([word, "epochs=2"]) == 2
    printed, said = capsys.readouterr()
    assert (printed, said.count("\n")) == ("", 1)
    assert said.startswith(f"error: {word}: ")
    assert re.findall(r"did you mean ([\w-]+)\?", said) == [meant] * (meant is not None)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["plan", "swep"], "swep: must be KEY=VALUE"),
        (["arch=colbert", "swep"], "swep: must be KEY=VALUE"),
        (["ui", "--prot", "1"], "--prot"),
        (["ui", "--port", "one"], "'one'"),
        (["compare", "a", "b", "--search", "bm25"], "'bm25'"),
        (["audit"], "DATA"),
        (["--arch", "colbert"], "--arch: no such flag; a key is written arch=VALUE"),
        (["--cfg", "jobs"], "--cfg/-c: invalid choice: 'jobs'"),
        (["arch", "colbert"], "arch: write arch=VALUE, without spaces"),
        (["train.queries:", "9"], "train.queries: write train.queries=VALUE, without spaces"),
        (["experiment", "=", "smoke"], "experiment: write experiment=VALUE"),
        (["sweep", "--cfg", "job"], "--cfg"),
    ],
)
def test_wrong_arguments_are_one_line(
    words: list[str], named: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(words) == 2
    printed, said = capsys.readouterr()
    assert (printed, said.count("\n")) == ("", 1)
    assert said.startswith("error: ")
    assert named in said
    assert list(elsewhere.iterdir()) == []


def test_the_process_has_the_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline"]
    env = {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([*command, "--help"], cwd=tmp_path, env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    done = subprocess.run([*command, "swep"], cwd=tmp_path, env=env, capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")


def test_the_console_script_is_the_same_door() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="reranker-pipeline")
    assert script.value == "pipeline.__main__:main"


def test_make_uses_commands_that_there_are() -> None:
    used = re.findall(r"-m pipeline ([a-z][a-z-]*) ", Path("Makefile").read_text())
    assert set(used) <= set(COMMANDS)
    assert len(used) >= 6
