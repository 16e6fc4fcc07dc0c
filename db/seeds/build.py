"""Renders the HTML, PDF and DOCX pages of the sample handbook from the Markdown in ``sources/``.

    python db/seeds/build.py            rewrite handbook/*.html, *.pdf and *.docx
    python db/seeds/build.py --check    exit 1 and name the pages whose bytes would change

Each source starts with YAML front matter: ``title`` and ``output`` (a path below ``handbook/``; its
suffix picks the writer). The bytes depend only on the sources and on the pinned versions of markdown-it-py,
fpdf2 and python-docx; fpdf2 comes with the development requirements.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from html import escape
from pathlib import Path

from handbook_pages import COMPANY, MARKDOWN, Page, read_page
from handbook_writers import render_docx, render_pdf

SEEDS = Path(__file__).resolve().parent
NAVIGATION = {
    "getting-started.html": "Get started",
    "plans-and-prices.html": "Plans",
    "install-desktop.html": "Install",
    "error-codes.html": "Error codes",
    "integrations.html": "Integrations",
}


def render_html(page: Page) -> bytes:
    """A whole page as a documentation site exports it: the article stands between header, menu and footer."""
    links = "".join(f'<li><a href="{name}">{label}</a></li>' for name, label in NAVIGATION.items())
    lines = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f"<title>{escape(page.title)} | Brindlewerk Handbook</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<style>body{font:16px/1.5 sans-serif;margin:0 auto;max-width:60rem}</style>",
        "<script>document.documentElement.dataset.ready = '1';</script>\n</head>\n<body>",
        '<header class="site-header"><a href="/">Brindlewerk</a> <button>Sign in</button></header>',
        f'<nav aria-label="Handbook"><ul>{links}</ul></nav>',
        f"<main>\n<article>\n{MARKDOWN.render(page.body).strip()}\n</article>\n</main>",
        "<aside><h2>Was this page helpful?</h2><button>Yes</button><button>No</button></aside>",
        f"<footer><p>© 2026 {COMPANY}</p><p>Imprint · Privacy · Cookie settings</p></footer>",
        "</body>\n</html>\n",
    ]
    return "\n".join(lines).encode()


RENDERERS: dict[str, Callable[[Page], bytes]] = {
    ".html": render_html,
    ".pdf": render_pdf,
    ".docx": render_docx,
}


def render_all() -> dict[str, bytes]:
    """Path below ``handbook/`` → bytes of the page, for every source."""
    pages = [read_page(path) for path in sorted((SEEDS / "sources").glob("*.md"))]
    return {page.output: RENDERERS[Path(page.output).suffix](page) for page in pages}


def main(arguments: list[str]) -> int:
    """Writes only the pages that changed; with ``--check`` writes nothing and answers 1 if there are any."""
    root, check = SEEDS / "handbook", "--check" in arguments
    rendered = render_all()
    changed = [
        name
        for name, content in rendered.items()
        if not (root / name).is_file() or (root / name).read_bytes() != content
    ]
    for name in changed:
        sys.stdout.write(f"{'differs' if check else 'written'}: {name}\n")
        if not check:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(rendered[name])
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
