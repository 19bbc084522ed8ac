"""The settings of a provider: what they take, and what they never show."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dspex.config import ProviderSettings, TlsSettings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"headers": {"bad name": "x"}}, "'bad name' is no name of a header"),
        ({"headers": {"": "x"}}, "is no name of a header"),
        ({"headers": {"X-Team": "a\nb"}}, "control character"),
        ({"api_key": "a\nb"}, "control character"),
        ({"organization": "a\nb"}, "control character"),
        ({"project": " "}, "is empty"),
        ({"proxy": "proxy:3128"}, "no proxy's URL"),
        ({"proxy": "socks5://proxy:1"}, "no proxy's URL"),
        ({"base_url": "http://u:p@h/v1"}, "user or a password"),
        ({"pool_timeout_s": 0}, "greater than 0"),
        ({"max_waiting": -1}, "greater than or equal to 0"),
        ({"per_user_requests_per_minute": 0}, "greater than 0"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    """With what is wrong and without what may be secret."""
    with pytest.raises(ValidationError, match=message) as caught:
        ProviderSettings(**given)

    assert "u:p" not in str(caught.value)


def test_a_key_without_its_certificate_is_refused() -> None:
    """It would be ignored in silence."""
    with pytest.raises(ValidationError, match="cert_file"):
        TlsSettings(key_file="key.pem")  # type: ignore[arg-type]  # a path may be given as text


def test_secrets_are_not_shown() -> None:
    """Key, headers, proxy and the key's password."""
    settings = ProviderSettings(
        api_key="s3cret-a",
        headers={"X-Token": "s3cret-b"},
        proxy="http://me:s3cret-c@proxy:1",
        tls=TlsSettings(cert_file="c.pem", key_password="s3cret-d"),  # type: ignore[arg-type]  # a path may be given as text
    )
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert "s3cret" not in shown
    assert ("s3cret-a", {"X-Token": "s3cret-b"}, "http://me:s3cret-c@proxy:1") == (
        settings.reveal_key(),
        settings.reveal_headers(),
        settings.reveal_proxy(),
    )
