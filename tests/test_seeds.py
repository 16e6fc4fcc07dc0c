"""The sample company is complete, agrees with itself, can be rebuilt, and tells the public no staff fact."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import docx
import pypdfium2
import pytest
import yaml
from selectolax.lexbor import LexborHTMLParser

SEEDS = Path(__file__).resolve().parents[1] / "db" / "seeds"
COMPANY = json.loads((SEEDS / "company.json").read_text(encoding="utf-8"))
QUESTIONS = json.loads((SEEDS / "questions.json").read_text(encoding="utf-8"))
DOCUMENTS: dict[str, dict[str, Any]] = {entry["path"]: entry for entry in COMPANY["documents"]}
AUDIENCES = {"public", "customers", "staff"} | {f"account:{a['external_id']}" for a in COMPANY["accounts"]}
COMMON_ERRORS = ("E1007", "E1042", "E2018", "E3002", "E5012")

# Each fact, and every page that must state it in these words.
FACTS = {
    "EUR 5.00 or USD 6.00 per seat per month": ["plans-and-prices.html"],
    "EUR 3.00 or USD 3.50 per seat per month": ["plans-and-prices.html"],
    "EUR 8.00 or USD 9.50 per seat per month": ["plans-and-prices.html"],
    "early termination fee of 15 %": ["refund-policy.docx", "internal/refund-limits-and-goodwill.pdf"],
    "warranty of 24 months": ["plans-and-prices.html", "refund-policy.docx"],
    "read-only on day 21": ["failed-payments-and-disputes.docx"],
    "BRINDLEWERK UTRECHT": ["failed-payments-and-disputes.docx", "errors/E3002.md"],
    "99.9 %": ["plans-and-prices.html", "service-levels.pdf"],
    "20,000 punches": ["terminal-setup.pdf", "error-codes.html", "company-and-product.md"],
    "8443": ["network-and-firewall.md", "errors/E1042.md", "error-codes.html"],
    "2,000 rows": ["getting-started.html", "error-codes.html", "release-notes.md"],
    "3 minutes": ["errors/E2018.md"],
    "500 MB": ["error-codes.html", "errors/E5012.md"],
    "Firmware 4.1": ["release-notes.md", "terminal-setup.pdf"],
    "sandbox": ["plans-and-prices.html", "customer-service-guide.md"],
}

# Facts that only the named audience may read.
SECRETS = {
    "staff": [
        "HEARTH",
        "7391",
        "RED DOOR",
        "EUR 150.00",
        "EUR 600.00",
        "SLOW-WALK",
        "Lighthouse",
        "Left hand",
    ],
    "customers": ["20 7946 0142", "`bks_`", "EUR 4.00 per day"],
    "account:ferrum-fell": ["EUR 7.20", "340 seats", "23 terminals", "yellow card"],
}


@cache
def page_text(path: str) -> str:
    """Words of the page with single spaces; navigation and running heads of HTML are left out."""
    file = SEEDS / path
    match file.suffix:
        case ".html":
            node = LexborHTMLParser(file.read_bytes()).css_first("main")
            text = node.text(separator=" ") if node else ""
        case ".pdf":
            with pypdfium2.PdfDocument(file) as pdf:
                text = "\n".join(pdf[number].get_textpage().get_text_bounded() for number in range(len(pdf)))
        case ".docx":
            document = docx.Document(str(file))
            cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
            text = "\n".join([paragraph.text for paragraph in document.paragraphs] + cells)
        case _:
            text = re.sub(r"\A---\n.*?\n---\n", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(text.split())


def run_build(seeds: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The generator in a process of its own, with another hash seed, time zone and folder than usual."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "TZ": "Pacific/Chatham",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-W", "error", str(seeds / "build.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


@pytest.fixture
def copied_seeds(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEEDS, tmp_path / "seeds"))


def test_every_file_is_listed_and_every_listed_file_exists() -> None:
    on_disk = {
        file.relative_to(SEEDS).as_posix() for file in (SEEDS / "handbook").rglob("*") if file.is_file()
    }
    assert on_disk == set(DOCUMENTS)
    assert len(DOCUMENTS) == len(COMPANY["documents"]) >= 25


@pytest.mark.parametrize(("suffix", "least"), [(".md", 15), (".html", 4), (".pdf", 3), (".docx", 3)])
def test_all_four_formats_are_represented(suffix: str, least: int) -> None:
    assert sum(path.endswith(suffix) for path in DOCUMENTS) >= least


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_page_is_long_enough_to_be_worth_a_search_and_small_enough_to_ship(path: str) -> None:
    assert 300 <= len(page_text(path).split()) <= 900
    assert (SEEDS / path).stat().st_size < 100_000


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_listed_title_is_the_first_heading_of_the_page(path: str) -> None:
    body = page_text(path)
    if path.endswith(".pdf"):
        body = body.partition(" | ")[2]
    assert body.removeprefix("# ").startswith(DOCUMENTS[path]["title"])


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.endswith(".md")])
def test_front_matter_names_the_listed_title(path: str) -> None:
    _, front_matter, _ = (SEEDS / path).read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front_matter)["title"] == DOCUMENTS[path]["title"]


def test_every_reference_in_the_company_file_points_to_something() -> None:
    slugs = {collection["slug"] for collection in COMPANY["collections"]}
    accounts = {account["external_id"] for account in COMPANY["accounts"]}
    assert {entry["collection"] for entry in DOCUMENTS.values()} == slugs
    assert {audience for entry in DOCUMENTS.values() for audience in entry["audience"]} <= AUDIENCES
    assert {p["account"] for p in COMPANY["people"] if p["role"] == "customer"} == accounts
    assert all(p["account"] is None for p in COMPANY["people"] if p["role"] != "customer")
    assert len(accounts) == 3


def test_people_are_distinct_cover_all_roles_and_cannot_receive_real_mail() -> None:
    people = COMPANY["people"]
    roles = [person["role"] for person in people]
    assert (roles.count("agent"), roles.count("lead"), roles.count("admin")) == (2, 1, 1)
    for key in ("external_id", "email"):
        assert len({person[key] for person in people}) == len(people)
    assert all(person["email"].endswith(".example") for person in people)


def test_a_validity_range_begins_in_the_past_and_does_not_end_soon() -> None:
    """A demo whose pages expire would stop answering its own first questions."""
    for entry in DOCUMENTS.values():
        begin = date.fromisoformat(entry.get("valid_from", "2026-01-01"))
        end = date.fromisoformat(entry.get("valid_until", "9999-12-31"))
        assert begin <= date(2026, 11, 22)
        assert end > date(2028, 12, 31)


def test_the_generator_reproduces_the_committed_pages_bit_for_bit() -> None:
    result = run_build(SEEDS, "--check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_generator_restores_damaged_and_missing_pages_and_then_changes_nothing(
    copied_seeds: Path,
) -> None:
    damaged, missing = (
        copied_seeds / "handbook/refund-policy.docx",
        copied_seeds / "handbook/service-levels.pdf",
    )
    damaged.write_bytes(b"half a fi")
    missing.unlink()
    assert run_build(copied_seeds, "--check").returncode == 1
    assert not missing.exists()
    assert run_build(copied_seeds).stdout.split("\n")[:2] == [
        "written: refund-policy.docx",
        "written: service-levels.pdf",
    ]
    assert damaged.read_bytes() == (SEEDS / "handbook/refund-policy.docx").read_bytes()
    assert missing.read_bytes() == (SEEDS / "handbook/service-levels.pdf").read_bytes()
    assert run_build(copied_seeds).stdout == ""


def test_the_generator_refuses_a_construct_that_it_would_print_wrongly(copied_seeds: Path) -> None:
    with (copied_seeds / "sources/service-levels.md").open("a", encoding="utf-8") as source:
        source.write("\n> quoted\n")
    result = run_build(copied_seeds)
    assert result.returncode != 0
    assert "unsupported Markdown construct: blockquote" in result.stderr


def test_an_html_page_hides_its_article_among_navigation() -> None:
    for path in (path for path in DOCUMENTS if path.endswith(".html")):
        tree = LexborHTMLParser((SEEDS / path).read_bytes())
        assert all(tree.css_first(tag) is not None for tag in ("header", "nav", "main", "aside", "footer"))
        assert "Imprint" not in page_text(path)


def test_a_word_page_has_real_headings_lists_and_a_table() -> None:
    for path in (path for path in DOCUMENTS if path.endswith(".docx")):
        document = docx.Document(str(SEEDS / path))
        styles = {paragraph.style.name for paragraph in document.paragraphs if paragraph.style}
        assert {"Heading 1", "Heading 2", "Normal"} <= styles
        assert styles & {"List Bullet", "List Number"}
        assert document.tables


@pytest.mark.parametrize(
    ("path", "row"),
    [
        (
            "internal/refund-limits-and-goodwill.pdf",
            "Admin above EUR 2,000.00 no limit, but two admins above EUR",
        ),
        ("internal/refund-limits-and-goodwill.pdf", "Clock-ins lost or wrong for a day EUR 25.00 EUR 80.00"),
        ("service-levels.pdf", "S1 8 business hours 4 business hours 1 hour 15 minutes"),
        ("terminal-setup.pdf", "Pulsing amber Firmware is being updated; do not cut the power."),
    ],
)
def test_a_table_row_of_a_pdf_stands_on_one_line(path: str, row: str) -> None:
    with pypdfium2.PdfDocument(SEEDS / "handbook" / path) as pdf:
        lines = [line for page in pdf for line in page.get_textpage().get_text_range().splitlines()]
    assert any(line.startswith(row) for line in lines)


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_is_stated_by_every_page_that_should_state_it(fact: str) -> None:
    for path in FACTS[fact]:
        assert fact.lower() in page_text(f"handbook/{path}").lower(), path


def test_every_error_code_in_the_handbook_is_explained_in_the_table() -> None:
    table = set(re.findall(r"E\d{4}", page_text("handbook/error-codes.html")))
    used = {code for path in DOCUMENTS for code in re.findall(r"\bE\d{4}\b", page_text(path))}
    assert len(table) >= 20
    assert used <= table
    assert all(f"handbook/errors/{code}.md" in DOCUMENTS for code in COMMON_ERRORS)


def test_worked_examples_add_up() -> None:
    """Half-up in integer cents, as an invoice would do it."""
    unused = round(100_000 * 8 / 12)
    fee = round(unused * 0.15)
    refund = page_text("handbook/refund-policy.docx")
    assert all(f"EUR {cents / 100:.2f}" in refund for cents in (unused, fee, unused - fee))
    upgrade = 12 * 200 * 20 // 30
    assert f"EUR {upgrade / 100:.2f}" in page_text("handbook/changing-or-cancelling.md")


def test_a_yearly_price_is_ten_monthly_prices() -> None:
    money = r"EUR ([\d.]+) or USD ([\d.]+) per seat per"
    sentence = rf"The \w+ plan costs {money} month, or {money} year"
    prices = re.findall(sentence, page_text("handbook/plans-and-prices.html"))
    assert len(prices) == 3
    for eur, usd, eur_year, usd_year in prices:
        assert (float(eur) * 10, float(usd) * 10) == (float(eur_year), float(usd_year))


@pytest.mark.parametrize("audience", SECRETS)
def test_a_restricted_fact_occurs_for_its_audience_and_nowhere_else(audience: str) -> None:
    own = " ".join(page_text(path) for path, entry in DOCUMENTS.items() if audience in entry["audience"])
    others = " ".join(
        page_text(path) for path, entry in DOCUMENTS.items() if audience not in entry["audience"]
    )
    for secret in SECRETS[audience]:
        assert secret in own
        assert secret not in others


def test_no_page_names_a_real_host_or_address() -> None:
    for path in DOCUMENTS:
        text = page_text(path)
        hosts = re.findall(r"(?:@|https?://)([\w.-]+\w)", text)
        assert all(host.endswith((".example", ".lan")) for host in hosts), hosts


def test_questions_are_many_distinct_and_partly_unanswerable() -> None:
    answerable = [entry for entry in QUESTIONS if entry["document"]]
    assert len(answerable) >= 40
    assert len(QUESTIONS) - len(answerable) >= 12
    assert len({entry["question"] for entry in QUESTIONS}) == len(QUESTIONS)
    assert {entry["audience"] for entry in QUESTIONS} <= AUDIENCES


@pytest.mark.parametrize("entry", [q for q in QUESTIONS if q["document"]], ids=lambda q: q["question"])
def test_an_answerable_question_is_answered_by_its_page_in_other_words(entry: dict[str, Any]) -> None:
    text = page_text(entry["document"])
    assert entry["must_contain"]
    assert all(needed.lower() in text.lower() for needed in entry["must_contain"])
    assert entry["audience"] in DOCUMENTS[entry["document"]]["audience"]
    words = entry["question"].lower().rstrip("?").split()
    runs = [" ".join(words[start : start + 6]) for start in range(len(words) - 5)]
    assert not [run for run in runs if run in text.lower()]


def test_questions_of_the_first_page_can_be_asked_by_a_customer() -> None:
    asked = [COMPANY["first_question"], *COMPANY["example_questions"]]
    assert 6 <= len(set(asked)) == len(asked) <= 7
    assert COMPANY["first_question"] in {q["question"] for q in QUESTIONS if q["audience"] == "public"}
