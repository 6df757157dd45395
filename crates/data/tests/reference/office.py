"""Writes tests/golden/office (documents and what the reference tools read of them) and tests/hostile/office.

pip install python-docx==1.2.0 python-pptx==1.0.2 openpyxl==3.1.5 odfpy==1.4.1 ebooklib==0.20 lxml
python office.py
"""

import datetime
import io
import json
import pathlib
import re
import zipfile

import docx
import ebooklib
import openpyxl
import pptx
from docx.enum.text import WD_BREAK
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from ebooklib import epub
from lxml import etree, html
from odf import draw, opendocument, presentation, style, table, teletype, text
from odf import dc, meta
from pptx.util import Inches

TESTS = pathlib.Path(__file__).parent.parent
GOLDEN = TESTS / "golden" / "office"
HOSTILE = TESTS / "hostile" / "office"
WHEN = datetime.datetime(2024, 5, 1, 12, 30)

PROSE = [
    "The mill on the river ground wheat for three villages, and its wheel turned day and night in spring.",
    "Größe, naïveté, Ελλάδα, кириллица, 日本語 and an emoji 🦀 stand in one line.",
    "Prices rose by 3.5 % in 2023; nobody knows whether A < B & C > D will hold.",
]


def repack(data, changes):
    """A ZIP file with parts replaced, added, or (None) taken out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changes:
                new.writestr(stamped(name), old.read(name), zipfile.ZIP_DEFLATED)
        for name, content in changes.items():
            if content is not None:
                new.writestr(stamped(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def stamped(name):
    """An entry whose time does not change from run to run."""
    return zipfile.ZipInfo(name, (2024, 5, 1, 0, 0, 0))


def zipped(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(stamped(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def save(saver):
    out = io.BytesIO()
    saver(out)
    return out.getvalue()


def write(folder, name, data):
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


# --- DOCX ------------------------------------------------------------------------------------------------------------


def word():
    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author, properties.language = "The mill", "Ann Miller", "en-GB"
    properties.subject, properties.keywords, properties.created = "Mills", "mill, river", WHEN
    document.add_heading("The mill", 0)
    document.add_paragraph(PROSE[0])
    document.add_heading("Words of all kinds", 1)
    paragraph = document.add_paragraph(PROSE[1])
    paragraph.add_run(" A bold end.").bold = True
    paragraph.add_run().add_break(WD_BREAK.LINE)
    paragraph.add_run("After a break\tand a tab.")
    document.add_heading("A list below", 2)
    for word in ["First bullet", "Second bullet"]:
        document.add_paragraph(word, style="List Bullet")
    for word in ["One of three", "Two of three", "Three of three"]:
        document.add_paragraph(word, style="List Number")
    linked = document.add_paragraph("See ")
    id = document.part.relate_to("https://example.org/mill", RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    linked._p.append(
        parse_xml(f'<w:hyperlink {nsdecls("w", "r")} r:id="{id}"><w:r><w:t>the page of the mill</w:t></w:r></w:hyperlink>')
    )
    grid = document.add_table(rows=3, cols=3)
    for row, words in enumerate([["Year", "Wheat", "Rye"], ["2022", "410 t", "95 t"], ["2023", "388 t", "a|b"]]):
        for column, word in enumerate(words):
            grid.cell(row, column).text = word
    merged = document.add_table(rows=2, cols=3)
    merged.cell(0, 0).merge(merged.cell(0, 1)).text = "Wide head"
    merged.cell(0, 2).text = "Right"
    for column, word in enumerate(["a1", "b1", "c1"]):
        merged.cell(1, column).text = word
    document.add_paragraph(PROSE[2])
    section = document.sections[0]
    section.header.paragraphs[0].text = "Header that is left out"
    return save(document.save)


def word_text(data):
    """What python-docx reads, paragraphs and tables in their order, links with their addresses."""
    document = docx.Document(io.BytesIO(data))
    lines = []
    for block in document.iter_inner_content():
        if isinstance(block, docx.table.Table):
            for row in block.rows:
                cells = dict.fromkeys(row.cells)
                lines.append(" ".join(cell.text for cell in cells))
        else:
            lines.append(block.text)
            lines.extend(link.url for link in block.hyperlinks)
    return "\n".join(lines)


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
TRACKED = f"""<?xml version="1.0"?>
<w:document {W} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"
 xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" xmlns:v="urn:schemas-microsoft-com:vml"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><w:body>
<w:p><w:r><w:t xml:space="preserve">Kept </w:t></w:r><w:del w:id="1"><w:r><w:delText>deleted </w:delText></w:r></w:del>
<w:ins w:id="2"><w:r><w:t xml:space="preserve">inserted </w:t></w:r></w:ins><w:moveFrom w:id="3"><w:r><w:t>moved</w:t></w:r></w:moveFrom>
<w:r><w:t>end.</w:t></w:r></w:p>
<w:p><w:pPr><w:rPr><w:del w:id="4"/></w:rPr></w:pPr><w:r><w:t xml:space="preserve">Joined </w:t></w:r></w:p>
<w:p><w:r><w:t>lines.</w:t></w:r></w:p>
<w:p><w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:txbx><w:txbxContent><w:p><w:r><w:t>In the box</w:t></w:r></w:p>
</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent><w:p><w:r><w:t>In the box</w:t></w:r></w:p>
</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent><w:t>Anchor.</w:t></w:r></w:p>
<w:p><w:r><w:t>Noted</w:t><w:footnoteReference w:id="2"/><w:t xml:space="preserve"> twice</w:t><w:footnoteReference w:id="3"/></w:r></w:p>
<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>HYPERLINK "https://example.org/f"</w:instrText></w:r>
<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>field</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>
<w:sdt><w:sdtPr><w:alias w:val="no"/></w:sdtPr><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>
<w:tbl><w:tr><w:trPr><w:del w:id="5"/></w:trPr><w:tc><w:p><w:r><w:t>gone</w:t></w:r></w:p></w:tc></w:tr>
<w:tr><w:tc><w:p><w:r><w:t>outer</w:t></w:r></w:p></w:tc><w:tc><w:tbl><w:tr><w:tc><w:p><w:r><w:t>inner</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p/></w:tc></w:tr></w:tbl>
<w:p><w:pPr><w:pStyle w:val="A"/></w:pPr><w:r><w:t>Cyclic style.</w:t></w:r></w:p>
</w:body></w:document>"""
STYLES = f"""<w:styles {W}><w:style w:styleId="A"><w:basedOn w:val="B"/></w:style>
<w:style w:styleId="B"><w:basedOn w:val="A"/></w:style></w:styles>"""
NOTES = f"""<w:footnotes {W}><w:footnote w:type="separator" w:id="1"><w:p><w:r><w:t>line</w:t></w:r></w:p></w:footnote>
<w:footnote w:id="3"><w:p><w:r><w:t>Second note.</w:t></w:r></w:p></w:footnote>
<w:footnote w:id="2"><w:p><w:r><w:t>First note.</w:t></w:r></w:p></w:footnote></w:footnotes>"""
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def relations(**kinds):
    inner = "".join(
        f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{target}"/>' for name, (kind, target) in kinds.items()
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{inner}</Relationships>'


def by_hand(body, **more):
    parts = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations(a=("officeDocument", "word/document.xml")),
        "word/document.xml": body,
    }
    return zipped(parts | more.pop("parts", {}))


def tracked():
    parts = {
        "word/_rels/document.xml.rels": relations(s=("styles", "styles.xml"), f=("footnotes", "footnotes.xml")),
        "word/styles.xml": STYLES,
        "word/footnotes.xml": NOTES,
    }
    return by_hand(TRACKED, parts=parts)


# --- PPTX ------------------------------------------------------------------------------------------------------------


def slides():
    deck = pptx.Presentation()
    deck.core_properties.title, deck.core_properties.author = "Of mills", "Ann Miller"
    deck.core_properties.created = WHEN
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text, first.placeholders[1].text = "Of mills", "A talk in three slides"
    second = deck.slides.add_slide(deck.slide_layouts[1])
    second.shapes.title.text = "What a mill needs"
    frame = second.placeholders[1].text_frame
    frame.text = "Water"
    for line, level in [("a river", 1), ("a pond", 1), ("Wheat", 0)]:
        paragraph = frame.add_paragraph()
        paragraph.text, paragraph.level = line, level
    second.notes_slide.notes_text_frame.text = "Say that wind does as well.\nThen wait."
    third = deck.slides.add_slide(deck.slide_layouts[5])
    third.shapes.title.text = "Harvest"
    grid = third.shapes.add_table(2, 3, Inches(1), Inches(2), Inches(6), Inches(1)).table
    for row, words in enumerate([["Year", "Wheat", "Rye"], ["2023", "388 t", "91 t"]]):
        for column, word in enumerate(words):
            grid.cell(row, column).text = word
    box = third.shapes.add_textbox(Inches(1), Inches(5), Inches(4), Inches(1)).text_frame
    box.text = PROSE[1]
    run = box.add_paragraph().add_run()
    run.text, run.hyperlink.address = "the page", "https://example.org/mill"
    hidden = deck.slides.add_slide(deck.slide_layouts[5])
    hidden.shapes.title.text = "Spare slide"
    hidden._element.set("show", "0")
    # The order of showing is not that of the files' names.
    order = deck.slides._sldIdLst
    order.insert(1, order[2])
    return save(deck.save)


def slides_text(data):
    deck = pptx.Presentation(io.BytesIO(data))
    found = []
    for slide in deck.slides:
        lines = []
        for shape in slide.shapes:
            if shape.has_text_frame:
                lines.append(shape.text_frame.text)
                for paragraph in shape.text_frame.paragraphs:
                    lines.extend(run.hyperlink.address for run in paragraph.runs if run.hyperlink.address)
            if shape.has_table:
                lines.extend(cell.text for row in shape.table.rows for cell in row.cells)
        notes = slide.notes_slide.notes_text_frame.text if slide.has_notes_slide else ""
        title = slide.shapes.title.text if slide.shapes.title is not None else ""
        hidden = slide._element.get("show") == "0"
        found.append({"text": "\n".join(lines), "section": title, "notes": notes, "hidden": hidden})
    return found


# --- ODT, ODP --------------------------------------------------------------------------------------------------------


def describe(document):
    document.meta.addElement(dc.Title(text="The mill"))
    document.meta.addElement(meta.InitialCreator(text="Ann Miller"))
    document.meta.addElement(dc.Creator(text="Bob Changed"))
    document.meta.addElement(meta.CreationDate(text="2024-05-01T12:30:00"))
    document.meta.addElement(dc.Language(text="en-GB"))


def rows(words):
    grid = table.Table(name="T")
    for line in words:
        row = table.TableRow()
        for word in line:
            cell = table.TableCell(valuetype="string")
            cell.addElement(text.P(text=word))
            row.addElement(cell)
        grid.addElement(row)
    return grid


def open_text():
    document = opendocument.OpenDocumentText()
    describe(document)
    numbers = text.ListStyle(name="Numbers")
    numbers.addElement(text.ListLevelStyleNumber(level=1, numformat="1", numsuffix="."))
    numbers.addElement(text.ListLevelStyleBullet(level=2, bulletchar="•"))
    document.automaticstyles.addElement(numbers)
    body = document.text
    body.addElement(text.H(outlinelevel=1, text="The mill"))
    body.addElement(text.P(text=PROSE[0]))
    paragraph = text.P(text=PROSE[1])
    paragraph.addElement(text.S(c=3))
    paragraph.addElement(text.Span(text="A span."))
    paragraph.addElement(text.LineBreak())
    link = text.A(href="https://example.org/mill", type="simple", text="the page of the mill")
    paragraph.addElement(link)
    note = text.Note(noteclass="footnote")
    note.addElement(text.NoteCitation(text="1"))
    inner = text.NoteBody()
    inner.addElement(text.P(text="A note at the foot."))
    note.addElement(inner)
    paragraph.addElement(note)
    body.addElement(paragraph)
    body.addElement(text.H(outlinelevel=2, text="A list below"))
    outer = text.List(stylename=numbers)
    for word, below in [("One of two", ["deeper"]), ("Two of two", [])]:
        item = text.ListItem()
        item.addElement(text.P(text=word))
        for deep in below:
            nested, nested_item = text.List(), text.ListItem()
            nested_item.addElement(text.P(text=deep))
            nested.addElement(nested_item)
            item.addElement(nested)
        outer.addElement(item)
    body.addElement(outer)
    body.addElement(rows([["Year", "Wheat"], ["2023", "388 t"]]))
    body.addElement(text.P(text=PROSE[2]))
    return save(document.write)


def open_words(data):
    """The text that odfpy reads of each paragraph and heading, in order; the address of each link."""
    document = opendocument.load(io.BytesIO(data))
    lines = []

    def walk(node):
        for child in node.childNodes:
            if getattr(child, "tagName", None) in ("text:p", "text:h"):
                lines.append(teletype.extractText(child))
                lines.extend(link.getAttribute("href") for link in child.getElementsByType(text.A))
            elif child.childNodes:
                walk(child)

    walk(document.body)
    return "\n".join(lines)


def open_slides():
    document = opendocument.OpenDocumentPresentation()
    describe(document)
    layout = style.PageLayout(name="L")
    document.automaticstyles.addElement(layout)
    master = style.MasterPage(name="M", pagelayoutname=layout)
    document.masterstyles.addElement(master)
    spare = style.Style(name="spare", family="drawing-page")
    spare.addElement(style.DrawingPageProperties(visibility="hidden"))
    document.automaticstyles.addElement(spare)
    for title, words, stylename in [("Of mills", ["Water", "Wheat"], None), ("Spare slide", [PROSE[1]], spare)]:
        page = draw.Page(masterpagename=master, **({"stylename": stylename} if stylename else {}))
        for kind, lines in [("title", [title]), ("outline", words)]:
            frame = draw.Frame(width="10cm", height="3cm")
            frame.setAttrNS("urn:oasis:names:tc:opendocument:xmlns:presentation:1.0", "class", kind)
            box = draw.TextBox()
            for line in lines:
                box.addElement(text.P(text=line))
            frame.addElement(box)
            page.addElement(frame)
        notes = presentation.Notes()
        frame = draw.Frame(width="10cm", height="3cm")
        frame.setAttrNS("urn:oasis:names:tc:opendocument:xmlns:presentation:1.0", "class", "notes")
        box = draw.TextBox()
        box.addElement(text.P(text=f"Notes on {title}."))
        frame.addElement(box)
        notes.addElement(frame)
        page.addElement(notes)
        document.presentation.addElement(page)
    return save(document.write)


# --- XLSX, ODS -------------------------------------------------------------------------------------------------------


def sheets():
    book = openpyxl.Workbook()
    book.properties.title, book.properties.creator = "Harvest", "Ann Miller"
    sheet = book.active
    sheet.title = "Harvest"
    # Two empty rows above and an empty column at the left.
    lines = [
        ["name", "count", "share", "fresh", "day", "moment", "clock", "error", "formula", "lead"],
        ["wheat", 388, 0.25, True, datetime.date(2024, 5, 1), WHEN, datetime.time(13, 45), "#DIV/0!", None, "=1+1"],
        ["Größe 🦀\nline", -7, 1e-9, False, datetime.date(1900, 1, 1), datetime.datetime(1999, 12, 31, 23, 59, 59), None, None, None, "+cmd"],
        [None, 2**53, 12345678.9, None, datetime.date(9999, 12, 31), None, datetime.time(0, 0, 1), None, None, " spaced "],
    ]
    for row, line in enumerate(lines, 3):
        for column, value in enumerate(line, 2):
            cell = sheet.cell(row, column, value)
            if isinstance(value, str) and value.startswith("="):
                cell.data_type = "s"
            if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
                cell.number_format = "yyyy\\-mm\\-dd;@"
    sheet["L5"] = "no head"
    merged = book.create_sheet("Merged")
    for row in [["a", "b"], ["one", "gone"], ["two", "deux"]]:
        merged.append(row)
    merged.merge_cells("A2:B2")
    secret = book.create_sheet("Secret")
    secret.sheet_state = "hidden"
    secret.append(["sheet", "x"])
    secret.append(["mine", 1])
    book.create_sheet("Empty")
    data = save(book.save)
    # A formula with the value that a spreadsheet program stored.
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        part = archive.read("xl/worksheets/sheet1.xml").decode()
    part = re.sub(r'<c r="J4"[^>]*/>', "", part)
    part = part.replace('<c r="K4"', '<c r="J4"><f>C4*2</f><v>776</v></c><c r="K4"')
    assert "<f>C4*2</f>" in part
    return repack(data, {"xl/worksheets/sheet1.xml": part})


def iso(value):
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat()
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def sheets_cells(data):
    book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    return [
        {
            "sheet": sheet.title,
            "hidden": sheet.sheet_state != "visible",
            "rows": [[iso(value) for value in row] for row in sheet.iter_rows(values_only=True)],
        }
        for sheet in book
    ]


def open_sheet():
    document = opendocument.OpenDocumentSpreadsheet()
    describe(document)
    gone = style.Style(name="gone", family="table")
    gone.addElement(style.TableProperties(display="false"))
    document.automaticstyles.addElement(gone)

    def cell(kind=None, words=None, **attributes):
        made = table.TableCell(**({"valuetype": kind} if kind else {}), **attributes)
        for word in words or []:
            made.addElement(text.P(text=word))
        return made

    grid = table.Table(name="Harvest")
    lines = [
        [cell(numbercolumnsrepeated=2), cell("string", ["name"]), cell("string", ["count"]), cell("string", ["share"]), cell("string", ["fresh"]), cell("string", ["day"]), cell("string", ["clock"])],
        [
            cell(numbercolumnsrepeated=2),
            cell("string", ["wheat", "second line"]),
            cell("float", ["388"], value="388"),
            cell("percentage", ["25 %"], value="0.25"),
            cell("boolean", ["TRUE"], booleanvalue="true"),
            cell("date", ["1 May"], datevalue="2024-05-01"),
            cell("time", ["13:45"], timevalue="PT13H45M00S"),
        ],
        [cell(numbercolumnsrepeated=2), cell("string", ["same"]), cell("float", ["1"], value="1", numbercolumnsrepeated=2), cell(numbercolumnsrepeated=16379)],
    ]
    grid.addElement(table.TableRow(numberrowsrepeated=3))
    group = table.TableHeaderRows()
    for index, line in enumerate(lines):
        row = table.TableRow(**({"numberrowsrepeated": 2} if index == 2 else {}))
        for made in line:
            row.addElement(made)
        (group if index == 0 else grid).addElement(row)
        if index == 0:
            grid.addElement(group)
    grid.addElement(table.TableRow(numberrowsrepeated=1048000))
    document.spreadsheet.addElement(grid)
    second = table.Table(name="Secret", stylename=gone)
    for word in ["x", "=1+1"]:
        row = table.TableRow()
        row.addElement(cell("string", [word]))
        second.addElement(row)
    document.spreadsheet.addElement(second)
    return save(document.write)


# --- EPUB ------------------------------------------------------------------------------------------------------------

CHAPTER = """<h1>Chapter the first</h1><p>{prose} An&#160;entity&#8212;and <em>stress</em>.<br/>A new line.</p>
<h2>A list below</h2><ol><li>One</li><li>Two<ul><li>deeper</li></ul></li></ol>
<table><tr><th>Year</th><th>Wheat</th></tr><tr><td>2023</td><td>388 t</td></tr></table>
<p>See <a href="https://example.org/mill">the page</a> or <a href="b.xhtml">the next chapter</a>.</p>
<pre>let x = 1;
  let y = 2;</pre>"""


def book():
    made = epub.EpubBook()
    made.set_identifier("urn:isbn:9780000000001")
    made.set_title("Of mills")
    made.set_language("en")
    made.add_author("Ann Miller")
    made.add_author("Bob Baker", uid="second")
    for name, value in [("date", "2024-05-01"), ("rights", "CC BY 4.0"), ("publisher", "Mill Press"), ("subject", "mills"), ("subject", "rivers")]:
        made.add_metadata("DC", name, value)
    chapters = []
    for name, words in [("b", "<p>" + PROSE[1] + "</p>"), ("a", CHAPTER.format(prose=PROSE[0])), ("c", "<div><img src='x.png' alt=''/></div>")]:
        chapter = epub.EpubHtml(title=f"File {name}", file_name=f"text/{name}.xhtml", lang="en")
        chapter.content = f"<html><head></head><body>{words}</body></html>"
        made.add_item(chapter)
        chapters.append(chapter)
    made.toc = chapters
    made.add_item(epub.EpubNcx())
    made.add_item(epub.EpubNav())
    made.spine = ["nav", chapters[1], chapters[0], chapters[2]]
    return save(lambda out: epub.write_epub(out, made))


def book_text(data):
    path = HOSTILE / "temporary.epub"
    path.write_bytes(data)
    made = epub.read_epub(str(path))
    path.unlink()
    found = []
    for id, _ in made.spine:
        item = made.get_item_with_id(id)
        if isinstance(item, epub.EpubNav) or "nav" in getattr(item, "properties", []):
            continue
        tree = html.fromstring(item.get_content())
        links = [link for link in tree.xpath("//body//a/@href") if link.startswith("http")]
        words = " ".join(tree.xpath("//body//text()")) + " " + " ".join(links)
        if words.strip():
            found.append(words)
    return found


# --- hostile ---------------------------------------------------------------------------------------------------------


def sheet_by_hand(rows, strings="<sst/>", workbook=None, styles=None):
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheets = workbook or '<sheets><sheet name="S" sheetId="1" r:id="s"/></sheets>'
    return zipped(
        {
            "_rels/.rels": relations(a=("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{OFFICE}">{sheets}</workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                s=("worksheet", "worksheets/sheet1.xml"), t=("sharedStrings", "sharedStrings.xml")
            ),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>',
            "xl/sharedStrings.xml": strings,
        }
    )


def ods_by_hand(inner, manifest="<manifest/>"):
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = f"<office:document-content {names}><office:body><office:spreadsheet>{inner}</office:spreadsheet></office:body></office:document-content>"
    return zipped({"content.xml": content, "META-INF/manifest.xml": manifest})


def compound(stream):
    """The beginning of an OLE container whose directory names a stream."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + stream.encode("utf-16-le") + bytes(1500)


LAUGHS = '<?xml version="1.0"?><!DOCTYPE w:document [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + f']><w:document {W}><w:body><w:p><w:r><w:t>&j;</w:t></w:r></w:p></w:body></w:document>'


def hostile():
    body = lambda inner: f"<w:document {W}><w:body>{inner}</w:body></w:document>"
    paragraph = "<w:p><w:r><w:t>x</w:t></w:r></w:p>"
    plain = by_hand(body(paragraph))
    container = '<container><rootfiles><rootfile full-path="a.opf"/></rootfiles></container>'
    opf = lambda spine: (
        '<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        f'<item id="e" href="../../../etc/passwd" media-type="application/xhtml+xml"/></manifest><spine>{spine}</spine></package>'
    )
    page = "<html><body><p>x</p></body></html>"
    cell = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row>'
    many = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(2, 5000))
    deck = lambda ids: zipped(
        {
            "_rels/.rels": relations(a=("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f'<p:presentation xmlns:p="p" xmlns:r="{OFFICE}"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>',
            "ppt/_rels/presentation.xml.rels": relations(s=("slide", "slides/slide1.xml"), x=("slide", "slides/slide9.xml"), l=("slide", "presentation.xml")),
            "ppt/slides/slide1.xml": "<p:sld xmlns:p='p'/>",
        }
    )
    head = '<table:table-row><table:table-cell office:value-type="string"><text:p>a</text:p></table:table-cell></table:table-row>'
    repeated = f'<table:table table:name="S">{head}<table:table-row table:number-rows-repeated="1048575"><table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16384"/></table:table-row></table:table>'
    laughs = lambda name: LAUGHS.replace("w:document", name).split("]>")[0] + "]>"
    cut = lambda name: (lambda data: data[: len(data) // 2])((GOLDEN / name).read_bytes())
    return {
        "truncated.docx": plain[: len(plain) // 2],
        "bomb.docx": by_hand(body("<w:p/>" * 4_000_000)),
        "laughs.docx": by_hand(LAUGHS),
        "external.docx": by_hand(f'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>{body("<w:p><w:r><w:t>&x;</w:t></w:r></w:p>")}'),
        "traversal.docx": zipped({"../../outside.xml": "x", "word/document.xml": body(paragraph)}),
        "missing.docx": zipped({"[Content_Types].xml": "<Types/>"}),
        "cyclic.docx": by_hand(body(paragraph), parts={"_rels/.rels": relations(a=("officeDocument", "_rels/.rels"))}),
        "encrypted.docx": compound("EncryptedPackage"),
        "old.docx": compound("WordDocument"),
        "text.docx": b"This is text.",
        "empty.docx": b"",
        "deep.docx": by_hand(body("<w:tbl><w:tr><w:tc>" * 20_000)),
        "broken.docx": by_hand(body("<w:p><w:r></w:p>")),
        "bytes.docx": by_hand(body(paragraph).replace(">x<", ">\xff<").encode("latin-1")),
        "spans.docx": by_hand(body("<w:tbl>" + '<w:tr><w:tc><w:tcPr><w:gridSpan w:val="4000000000"/></w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc></w:tr>' * 2000 + "</w:tbl>")),
        "lost.pptx": deck('<p:sldId id="1" r:id="s"/><p:sldId id="2" r:id="nowhere"/>'),
        "twice.pptx": deck('<p:sldId id="1" r:id="s"/><p:sldId id="2" r:id="s"/>'),
        "missing.pptx": deck('<p:sldId id="2" r:id="x"/>'),
        "encrypted.odt": ods_by_hand("", "<manifest><file-entry><encryption-data/></file-entry></manifest>"),
        "other.odt": ods_by_hand(""),
        "repeated.ods": ods_by_hand(repeated),
        "formula.ods": ods_by_hand('<table:table table:name="S"><table:table-row><table:table-cell office:value-type="string"><text:p>a</text:p></table:table-cell></table:table-row><table:table-row><table:table-cell table:formula="of:=1+1"/></table:table-row></table:table>'),
        "formula.xlsx": sheet_by_hand(cell + '<row r="2"><c r="A2"><f>HYPERLINK("http://x","y")</f></c></row><row r="3"><c r="A3"><v>1</v></c></row>'),
        "claims.xlsx": sheet_by_hand(cell + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        "count.xlsx": sheet_by_hand(cell + '<row r="2"><c r="A2" t="s"><v>0</v></c></row>', '<sst uniqueCount="99999999999"><si><t>b</t></si></sst>'),
        "beyond.xlsx": sheet_by_hand(cell + '<row r="1048577"><c r="A1048577"><v>1</v></c></row>'),
        "column.xlsx": sheet_by_hand(cell + '<row r="2"><c r="XFE2"><v>1</v></c></row>'),
        "index.xlsx": sheet_by_hand(cell + '<row r="2"><c r="A2" t="s"><v>7</v></c></row>'),
        "repeated.xlsx": sheet_by_hand(cell + many, "<sst><si><t>" + "long text " * 2000 + "</t></si></sst>"),
        "cyclic.xlsx": sheet_by_hand(cell, workbook='<sheets><sheet name="S" r:id="s"/><sheet name="T" r:id="s"/></sheets>'),
        "encrypted.xlsx": compound("EncryptedPackage"),
        "traversal.epub": zipped({"META-INF/container.xml": container, "a.opf": opf('<itemref idref="e"/>'), "a.xhtml": page}),
        "twice.epub": zipped({"META-INF/container.xml": container, "a.opf": opf('<itemref idref="a"/>' * 2), "a.xhtml": page}),
        "laughs.epub": zipped({"META-INF/container.xml": container, "a.opf": opf('<itemref idref="a"/>'), "a.xhtml": '<!DOCTYPE html [<!ENTITY a "ha">]><html><body>&a;</body></html>'}),
        "protected.epub": zipped({"META-INF/container.xml": container, "a.opf": opf('<itemref idref="a"/>'), "a.xhtml": page, "META-INF/encryption.xml": '<encryption><EncryptedData><EncryptionMethod Algorithm="aes"/><CipherData><CipherReference URI="a.xhtml"/></CipherData></EncryptedData></encryption>'}),
        "missing.epub": zipped({"mimetype": "application/epub+zip"}),
        "laughs.odt": zipped({"content.xml": laughs("office:document-content") + "<office:document-content>&j;</office:document-content>"}),
        "laughs.ods": zipped({"content.xml": laughs("office:document-content") + "<office:document-content>&j;</office:document-content>"}),
        "laughs.xlsx": sheet_by_hand(cell + '<row r="2"><c r="A2" t="s"><v>0</v></c></row>', laughs("sst") + "<sst><si><t>&j;</t></si></sst>"),
        "laughs.pptx": repack(deck('<p:sldId id="1" r:id="s"/>'), {"ppt/slides/slide1.xml": laughs("p:sld") + "<p:sld xmlns:p='p'>&j;</p:sld>"}),
        **{f"truncated.{name.split('.')[1]}": cut(name) for name in ["mill.pptx", "mill.odt", "mill.odp", "mill.epub", "harvest.xlsx", "harvest.ods"]},
    }


def main():
    for folder in (GOLDEN, HOSTILE):
        folder.mkdir(parents=True, exist_ok=True)
    files = {"mill.docx": word(), "mill.pptx": slides(), "mill.odt": open_text(), "mill.odp": open_slides()}
    files |= {"harvest.xlsx": sheets(), "harvest.ods": open_sheet(), "mill.epub": book(), "tracked.docx": tracked()}
    for name, data in files.items():
        write(GOLDEN, name, data)
    expected = {
        "mill.docx": word_text(files["mill.docx"]),
        "mill.odt": open_words(files["mill.odt"]),
        "mill.odp": open_words(files["mill.odp"]),
        "mill.pptx": slides_text(files["mill.pptx"]),
        "harvest.xlsx": sheets_cells(files["harvest.xlsx"]),
        "mill.epub": book_text(files["mill.epub"]),
    }
    write(GOLDEN, "expected.json", json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
    for name, data in hostile().items():
        write(HOSTILE, name, data)


main()
