"""Settings from an environment; that `.env.example` documents them is checked in test_house."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Settings
from app.exceptions import ConfigurationError


def test_values_are_of_their_settings_types():
    settings = Settings.from_environment(
        {
            "DATA_DIR": "some folder",
            "PORT": "0",
            "WORKER_IN_SERVER": "No",
            "SAMPLE_COMPANY": "1",
            "JWT_ROLES": " agent, customer ,",
            "OPENAI_BASE_URL": "http://models.test/v1/",
            "OPENAI_TIMEOUT": "2.5",
            "LOG_LEVEL": "warning",
        }
    )
    assert settings.data_dir == Path("some folder")
    assert (settings.port, settings.worker_in_server, settings.sample_company) == (0, False, True)
    assert settings.jwt_roles == ("agent", "customer")
    assert (settings.openai_base_url, settings.openai_timeout) == ("http://models.test/v1", 2.5)
    assert settings.log_level == "WARNING"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg"])
def test_any_postgres_url_is_taken_and_its_driver_is_ours_to_choose(scheme):
    settings = Settings.from_environment({"DATABASE_URL": f"{scheme}://u:p%40@h:5/d?sslmode=require"})
    assert settings.database_url == "postgresql://u:p%40@h:5/d?sslmode=require"


@pytest.mark.parametrize(
    "url", ["postgresql://u:hu/sh@h:5/d", "postgresql://u:p@[::1/d", "postgresql://h:x/d"]
)
def test_an_unquoted_password_is_refused_without_being_quoted(url):
    with pytest.raises(ConfigurationError, match="%2F") as caught:
        Settings.from_environment({"DATABASE_URL": url})
    assert "hu" not in caught.value.detail


def test_arguments_win_over_the_environment_unless_they_are_none():
    settings = Settings.from_environment({"PORT": "1", "HOST": "a"}, port=2, host=None)
    assert (settings.port, settings.host) == (2, "a")


def test_variables_of_others_are_ignored():
    assert Settings.from_environment({"PATH": "x", "port": "9", "TRIDESK": "y"}) == Settings()


@pytest.mark.parametrize("values", [{"chat_model": "m"}, {"embedding_model": "m"}, {"jwt_roles": ("root",)}])
def test_contradictions_are_found_however_the_settings_are_made(values):
    with pytest.raises(ConfigurationError):
        Settings(**values)
