"""Errors as one line and as exit codes."""

import subprocess
import sys

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from pipeline.infra.errors import exit_code, one_line
from pipeline.records import Refused


def test_a_reader_that_ends_is_no_failure() -> None:
    program = (
        "import sys\n"
        "from pipeline.infra.errors import exit_code\n"
        "sys.exit(exit_code(lambda: print('a line\\n' * 100_000)))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"a line\n"
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_a_refusal_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise Refused("sweep is running")

    assert exit_code(refuse) == 1
    assert capsys.readouterr().err == "refused: sweep is running\n"


def test_a_database_error_is_shown_without_its_statement() -> None:
    with pytest.raises(OperationalError) as raised, create_engine("sqlite://").connect() as store:
        store.execute(text("SELECT a FROM nowhere WHERE b = :b"), {"b": "a value"})
    assert "[SQL:" in str(raised.value)
    assert one_line(raised.value).endswith("no such table: nowhere")
