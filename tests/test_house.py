"""The house's outside agrees with its inside: settings, locks, files, README, logging."""

from __future__ import annotations

import ast
import base64
import json
import logging
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.config import MASK, Settings
from app.exceptions import ConfigurationError
from app.logs import CONFIGURATION, RequestIdFilter, configure_logging, request_id

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
SECRETS = [each.name for each in fields(Settings) if each.metadata["secret"]]
# What starts by itself: nothing imports it.
ENTRANCES = {"app/__init__.py", "app/embedded/__main__.py"}
GENERATED = {"data", "build", "node_modules"}


def own_files() -> list[Path]:
    """The checkout without environments, caches, data and version control; needs no git."""
    found: list[Path] = []
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_symlink() or path.name == "__pycache__" or path.name.endswith((".egg-info", ".pyc")):
                continue
            if path.is_dir():
                hidden = path.name.startswith(".") and path.name != ".ci"
                if not hidden and not (path.parent == ROOT and path.name in GENERATED):
                    folders.append(path)
            elif not path.name.startswith(".stamp-") and path.name not in {".env", ".git"}:
                found.append(path)
    return found


def documented_settings() -> dict[str, tuple[str, str]]:
    """Name to (default, explanation) as .env.example has them."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return {
        name: (value, said)
        for said, name, value in re.findall(r"^# (.+)\n#([A-Z_]+)=(.*)$", text, re.MULTILINE)
    }


class TestSettings:
    def test_env_example_explains_exactly_the_settings_in_their_order(self):
        assert list(documented_settings()) == [each.name.upper() for each in fields(Settings)]

    def test_the_defaults_of_env_example_read_as_the_defaults_of_settings(self):
        environment = {name: value for name, (value, _) in documented_settings().items()}
        assert Settings.from_environment(environment) == Settings()

    def test_env_example_shows_a_default_wherever_there_is_one(self):
        shown = {name for name, (value, _) in documented_settings().items() if value}
        assert shown == {each.name.upper() for each in fields(Settings) if each.default is not None}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PORT", "eighty"),
            ("PORT", "65536"),
            ("PORT", "-1"),
            ("DATABASE_URL", "mysql://host/db"),
            ("DATABASE_URL", "postgresql"),
            ("MIGRATION_DATABASE_URL", "host=localhost"),
            ("LISTEN_DATABASE_URL", "http://host/"),
            ("DATABASE_POOL_SIZE", "-2"),
            ("DATABASE_POOL_SIZE", "1.5"),
            ("WORKER_IN_SERVER", "perhaps"),
            ("WORKER_CONCURRENCY", "many"),
            ("SAMPLE_COMPANY", "2"),
            ("LOG_LEVEL", "LOUD"),
            ("LOG_FORMAT", "xml"),
            ("JWT_SECRET", "too short"),
            ("JWT_JWKS_URL", "ftp://host/keys"),
            ("JWT_ROLES", "customer,root"),
            ("OPENAI_BASE_URL", "localhost:8080/v1"),
            ("OPENAI_TIMEOUT", "0"),
            ("OPENAI_TIMEOUT", "nan"),
            ("CHAT_MODEL", "a-model-without-an-endpoint"),
            ("EMBEDDING_MODEL", "a-model-without-an-endpoint"),
            ("EMBEDDING_DIMENSIONS", "wide"),
            ("UPLOAD_MAX_BYTES", "50MB"),
            ("PARSE_TIMEOUT", "-1"),
        ],
    )
    def test_a_malformed_value_is_refused_by_an_error_that_names_the_variable(self, name, value):
        with pytest.raises(ConfigurationError, match=rf"^{name}\b"):
            Settings.from_environment({name: value})

    @pytest.mark.parametrize("name", SECRETS)
    def test_a_secret_is_neither_described_nor_quoted_in_an_error(self, name):
        signing = "whsec_" + base64.b64encode(b"hush" * 6).decode()
        signing_secrets = dict.fromkeys(("inbound_mail_secret", "stripe_webhook_secret"), signing)
        good = {"jwt_secret": "hush " * 8, **signing_secrets}.get(name, "postgresql://user:hush@host/db")
        described = Settings.from_environment({name.upper(): good}).describe()
        assert described[name.upper()] == MASK
        assert "hush" not in json.dumps(described)
        if name not in {"openai_api_key", "smtp_password", "stripe_api_key"}:  # any text is one
            with pytest.raises(ConfigurationError) as caught:
                Settings.from_environment({name.upper(): "hush"})
            assert "hush" not in str(caught.value)

    @given(
        st.dictionaries(
            st.sampled_from([each.name.upper() for each in fields(Settings)]), st.text(max_size=20)
        )
    )
    def test_any_environment_gives_settings_or_a_configuration_error(self, environment):
        said = ""
        try:
            Settings.from_environment(environment)
        except ConfigurationError as error:
            said = str(error)
        assert not said or any(name in said for name in documented_settings())

    def test_an_empty_variable_counts_as_unset(self):
        assert Settings.from_environment(dict.fromkeys(documented_settings(), "")) == Settings()


class TestLocks:
    @pytest.fixture
    def copy(self, tmp_path):
        shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        return tmp_path

    @staticmethod
    def check(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "requirements" / "check.py"), str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_the_locks_fit_pyproject(self):
        done = self.check(ROOT)
        assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize(
        ("file", "old", "new", "said"),
        [
            ("pyproject.toml", '"litestar>=2.25"', '"litestar>=99"', "base: litestar is locked at"),
            (
                "pyproject.toml",
                '    "litestar>=2.25",\n',
                "",
                "base: litestar is locked but no longer asked for",
            ),
            ("pyproject.toml", '"httptools"', '"httptools", "gunicorn"', "prod: gunicorn is asked for"),
            ("requirements/dev.txt", "uvicorn==", "uvicorn==0.1.", "prod: uvicorn"),
            ("requirements/base.txt", "litestar==", "litestar>=", "base: litestar is not pinned"),
            ("requirements/base.txt", "--hash=sha256:", "--hash=md5:", "has no hash"),
        ],
    )
    def test_a_lock_that_does_not_fit_is_named_with_the_way_out(self, copy, file, old, new, said):
        text = (copy / file).read_text()
        assert old in text
        (copy / file).write_text(text.replace(old, new))
        done = self.check(copy)
        assert done.returncode == 1
        assert said in done.stdout
        assert "make lock" in done.stderr

    @pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
    def test_a_lock_names_no_index_no_path_and_no_address(self, lock):
        lines = [line for line in lock.read_text().splitlines() if not line.startswith("    ")]
        assert lines
        for line in lines:
            assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==\S+( ; .+)? \\", line), line

    @pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
    def test_the_locked_model_runtime_is_one_that_does_not_phone_home(self, lock):
        """From 1.29 on onnxruntime sends telemetry at import; watch what a later one connects to."""
        version = re.search(r"^onnxruntime==(\d+)\.(\d+)", lock.read_text(), re.MULTILINE)
        assert (int(version[1]), int(version[2])) < (1, 29)

    def test_the_four_locks_are_there(self):
        assert [path.stem for path in LOCKS] == ["base", "bench", "dev", "prod"]


class TestFiles:
    def test_no_file_names_a_package_index_or_a_home_folder(self):
        indexes = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
        index = re.compile("|".join(map(re.escape, indexes)))
        home = re.compile(r"(?<![\w.}])/(?:home|root|Users)/\w")
        for path in own_files():
            text = path.read_bytes().decode("utf-8", "replace")
            assert not (found := index.search(text)), f"{path}: {found[0]}"
            assert not (found := home.search(text)), f"{path}: {found[0]}"

    def test_every_module_of_app_is_imported_or_started_by_another_file(self):
        sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py")}
        used = {path: _mentioned(text) for path, text in sources.items()}
        for path in sources:
            if path.relative_to(ROOT).as_posix() in ENTRANCES:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            others = set().union(*(names for other, names in used.items() if other != path))
            script = f"file:{path.name}"  # run as a child process by its path
            assert module in others or script in others, f"nothing imports {module}"

    def test_every_other_file_of_app_is_named_by_a_module(self):
        sources = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py"))
        for path in own_files():
            if ROOT / "app" in path.parents and path.suffix != ".py":
                family = path.stem.rpartition("_")[0] + "_{"  # as in f"nearest_{arm}.sql"
                named = re.search(rf"\b{re.escape(path.stem)}\b", sources) or f'"{family}' in sources
                assert named, f"nothing names {path.name}"

    def test_no_python_file_is_empty_but_package_markers(self):
        for path in own_files():
            if path.suffix == ".py" and path.name != "__init__.py":
                assert path.read_text(encoding="utf-8").strip(), path


def _mentioned(text: str) -> set[str]:
    """Modules that a file imports or names in a string, each with the packages around it; scripts it runs."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {f"file:{node.value}"} | set(re.findall(r"\bapp(?:\.\w+)+", node.value))
    return names | {name.rpartition(".")[0] for name in names}


class TestReadme:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    def test_its_relative_links_lead_somewhere(self):
        for target in re.findall(r"\]\(([^)\s]+)\)", self.text):
            if not re.match(r"[a-z]+:|#", target):
                assert (ROOT / target.partition("#")[0]).exists(), target

    def test_its_make_targets_exist(self):
        makefile = (ROOT / "Makefile").read_text()
        for target in re.findall(
            r"^(?:\$ )?(?:[A-Z_]+=\S+ )*make ([a-z-]+)|`make ([a-z-]+)", self.text, re.MULTILINE
        ):
            name = target[0] or target[1]
            assert re.search(rf"^{name}:", makefile, re.MULTILINE), name

    def test_its_tridesk_commands_exist(self):
        commands = set(re.findall(r"^(?:\$ )?tridesk ([a-z]+)|`tridesk ([a-z]+)", self.text, re.MULTILINE))
        if commands:
            from app.cli import cli

            assert {a or b for a, b in commands} <= set(cli.commands)


class TestContainer:
    def test_every_file_the_image_copies_is_let_through_and_exists(self):
        kept = [
            line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
        ]
        assert "requirements/prod.txt" in kept
        for name in kept:
            assert (ROOT / name).exists(), name
        assert not {"data", ".env", ".git", "tests"} & set(kept)

    def test_its_settings_are_settings(self):
        line = re.search(r"^ENV (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        names = {pair.partition("=")[0] for pair in line[1].split()} - {"PATH"}
        assert names <= set(documented_settings())


class TestLogging:
    @pytest.fixture
    def console(self):
        """logging.yaml applied to loggers of this test alone; the root logger is put back."""
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        yield lambda **chosen: configure_logging(Settings(**chosen))
        root.handlers[:] = handlers
        root.setLevel(level)

    def test_json_lines_carry_the_request_id_the_fields_and_the_exception(self, console, capsys):
        console(log_format="json")
        token = request_id.set("r-1")
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("app.test").exception("it failed", extra={"document_id": 7})
        finally:
            request_id.reset(token)
        line = json.loads(capsys.readouterr().err)
        assert (line["message"], line["level"], line["request_id"]) == ("it failed", "ERROR", "r-1")
        assert line["document_id"] == 7
        assert "ValueError: broken" in line["exception"]

    def test_a_line_break_in_a_message_stays_one_json_line(self, console, capsys):
        console(log_format="json")
        logging.getLogger("app.test").warning("a\nb\u2028c")
        assert json.loads(capsys.readouterr().err.strip("\n"))["message"] == "a\nb\u2028c"

    def test_text_lines_are_readable_and_carry_the_request_id(self, console, capsys):
        console(log_format="text")
        logging.getLogger("app.test").warning("slow")
        assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING app\.test \[-\] slow\n", capsys.readouterr().err)

    def test_the_level_comes_from_the_settings(self, console, capsys):
        console(log_format="text", log_level="ERROR")
        logging.getLogger("app.test").warning("unheard")
        assert capsys.readouterr().err == ""

    def test_libraries_that_log_urls_or_bodies_at_info_are_kept_to_warnings(self, console):
        console(log_format="json", log_level="DEBUG")
        for name in ("httpx", "openai", "alembic", "pgqueuer", "uvicorn.access"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO), name

    def test_every_handler_adds_the_request_id(self):
        configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
        assert configuration["handlers"]
        for handler in configuration["handlers"].values():
            assert "request_id" in handler["filters"]
        record = logging.makeLogRecord({})
        assert RequestIdFilter().filter(record)
        assert record.request_id == "-"


def test_the_contracts_of_direction_name_every_room():
    """A new room must be given its place: the layers are exhaustive."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    direction = next(each for each in contracts if each["id"] == "direction")
    placed = set(re.findall(r"[a-z_]+", " ".join(direction["layers"])))
    rooms = {
        path.stem
        for path in (ROOT / "app").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert direction["exhaustive"]
    assert rooms - {"__init__"} <= placed
