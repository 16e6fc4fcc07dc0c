"""The PDF and DOCX writers of the sample handbook; equal sources give equal bytes.

Dates are fixed, and nothing is deflated, since zlib's output differs between its implementations.
"""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import docx
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from fpdf import FPDF
from fpdf.enums import VAlign
from fpdf.fonts import FontFace
from handbook_pages import COMPANY, Block, Page, read_blocks

STAMP = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
KEPT_STYLES = frozenset(
    ("Normal", "Header", "Footer", "Heading 1", "Heading 2", "Heading 3", "List Bullet", "List Number")
) | {"Table Grid", "Normal Table", "No List", "Default Paragraph Font"}
UNUSED_PARTS = ("stylesWithEffects", "customXml")


class HandbookPdf(FPDF):
    """A4 with a running head, page numbers and an outline; core fonts, so that nothing is embedded."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title_text = title
        self.core_fonts_encoding = "windows-1252"
        self.set_compression(False)
        self.set_creation_date(STAMP)
        self.set_producer("Brindlewerk Handbook")
        self.set_title(title)
        self.set_author(COMPANY)
        self.set_lang("en")
        self.set_margin(20)
        self.add_page()

    def header(self) -> None:
        self.set_font("Helvetica", size=8)
        self.cell(0, 6, f"{COMPANY} | {self.title_text}", new_x="LMARGIN", new_y="NEXT")
        self.ln(4)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", size=8)
        self.cell(0, 6, f"Page {self.page_no()} of {{nb}}", align="C")

    def write_heading(self, block: Block) -> None:
        """Kept with the lines that follow: a heading never stands alone at the foot of a page."""
        if self.will_page_break(30):
            self.add_page()
        self.set_font("Helvetica", style="B", size=18 - 3 * block.level)
        self.start_section(block.lines[0], level=block.level - 1)
        self.multi_cell(0, 8, block.lines[0], new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def write_lines(self, block: Block) -> None:
        self.set_font("Helvetica", size=10)
        for number, line in enumerate(block.lines, start=1):
            mark = {"bullet_list": "\u2022 ", "ordered_list": f"{number}. "}.get(block.kind, "")
            self.multi_cell(0, 5, mark + line, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(3)

    def write_table(self, block: Block) -> None:
        """Columns as wide as their longest cell asks, with air: a row is then extracted as one line."""
        self.set_font("Helvetica", size=9)
        with self.table(
            headings_style=FontFace(emphasis="BOLD"),
            col_widths=[max(map(len, column)) + 8 for column in zip(*block.rows, strict=True)],
            text_align="LEFT",
            v_align=VAlign.T,
            line_height=5,
        ) as table:
            for cells in block.rows:
                row = table.row()
                for cell in cells:
                    row.cell(cell)
        self.ln(4)


def render_pdf(page: Page) -> bytes:
    """Uncompressed PDF, its text in reading order."""
    pdf = HandbookPdf(page.title)
    for block in read_blocks(page.body):
        if block.kind == "heading":
            pdf.write_heading(block)
        elif block.kind == "table":
            pdf.write_table(block)
        else:
            pdf.write_lines(block)
    return bytes(pdf.output())


def render_docx(page: Page) -> bytes:
    """A Word document with real heading, list and table styles."""
    document = docx.Document()
    slim_template(document)
    set_properties(document, page.title)
    document.sections[0].header.paragraphs[0].text = f"{COMPANY} | Handbook"
    for block in read_blocks(page.body):
        if block.kind == "heading":
            document.add_heading(block.lines[0], level=block.level)
        elif block.kind == "table":
            add_table(document, block.rows)
        else:
            styles = {"bullet_list": "List Bullet", "ordered_list": "List Number"}
            for line in block.lines:
                document.add_paragraph(line, style=styles.get(block.kind, "Normal"))
    buffer = io.BytesIO()
    document.save(buffer)
    return store_zip(buffer)


def slim_template(document: Document) -> None:
    """Drops what the library's template carries and no page uses: most of 900 kB of styles."""
    for style in list(document.styles):
        if style.name not in KEPT_STYLES:
            style.delete()
    package = document.part.package
    for owner in (document.part.rels, package.rels):
        for key, relation in list(owner.items()):
            if relation.reltype.endswith(UNUSED_PARTS) or relation.reltype == RELATIONSHIP_TYPE.THUMBNAIL:
                del owner[key]


def set_properties(document: Document, title: str) -> None:
    """Fixed authorship and dates: the library would write the time of the run."""
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = title, COMPANY, COMPANY
    properties.created = properties.modified = STAMP
    properties.comments, properties.revision = "", 1


def add_table(document: Document, rows: list[list[str]]) -> None:
    table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
    for cells in rows:
        for cell, text in zip(table.add_row().cells, cells, strict=True):
            cell.text = text


def store_zip(buffer: io.BytesIO) -> bytes:
    """The same archive uncompressed, with fixed dates and attributes."""
    stored = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, date_time=STAMP.timetuple()[:6])
            entry.create_system = 3  # the platform's own number would differ on Windows
            entry.external_attr = 0o644 << 16
            target.writestr(entry, source.read(name))
    return stored.getvalue()
