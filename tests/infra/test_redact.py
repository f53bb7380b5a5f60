"""What of a configuration is logged, and how; what is secret in it is not."""

import pytest

from pipeline.infra.redact import flatten


def test_flatten() -> None:
    config: dict[str, object] = {
        "a": {"b": {"c": 1e-4}, "d": None, "e": True},
        "list": [1, {"x": "y", "api_key": "s3cret"}],
        "empty": {},
        "text": "é",
    }
    assert flatten(config) == {
        "a.b.c": "0.0001",
        "a.d": "null",
        "a.e": "true",
        "list": '[1, {"x": "y"}]',
        "empty": "{}",
        "text": "é",
    }


@pytest.mark.parametrize(
    "key",
    [
        "token", "hf_token", "hfToken", "password", "db_password", "client_secret", "api_key",
        "API_KEY", "apikey", "credential", "credentials", "aws_secret_access_key",
    ],
)  # fmt: skip
def test_secrets_are_left_out(key: str) -> None:
    assert flatten({"hub": {key: "s3cret", "id": "x"}}) == {"hub.id": "x"}
    assert flatten({key: {"value": "s3cret"}}) == {}


@pytest.mark.parametrize("key", ["max_tokens", "tokenizer", "key", "passage"])
def test_what_only_sounds_like_a_secret_stays(key: str) -> None:
    assert flatten({key: 1}) == {key: "1"}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://me:p@ss@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("postgresql://me:p/ss@db.example/ml", "postgresql://me:***@db.example/ml"),
        ("s3://AKIA:wJal/K7+x@bucket/x", "s3://AKIA:***@bucket/x"),
        ("https://h:8080/path", "https://h:8080/path"),
        ("s3://b/x?sig=a%2B&se=1", "s3://b/x?sig=***&se=1"),
        ("mysql://h/db?user=me&passwd=pw", "mysql://h/db?user=me&passwd=***"),
        ("mysql://h/db?user=me&password=pw&x=1", "mysql://h/db?user=me&password=***&x=1"),
        ("sqlite:///outputs/mlflow.db", "sqlite:///outputs/mlflow.db"),
    ],
)
def test_passwords_in_addresses_are_masked(text: str, masked: str) -> None:
    assert flatten({"uri": text}) == {"uri": masked}
