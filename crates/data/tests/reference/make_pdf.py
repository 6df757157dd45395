"""Writes PDF documents of many kinds, and what PyMuPDF or pypdf extracts from each, to ../golden/pdf; broken and
malicious ones to ../hostile/pdf. All are the same at each run but for the encrypted ones and the identifier of
the scanned one.

    pip install reportlab fpdf2 uharfbuzz pymupdf pypdf cryptography
    python make_pdf.py

The reference is PyMuPDF's text with its ligatures expanded and words joined that a line's end divides
(`TEXT_DEHYPHENATE`), pypdf's for documents where REFERENCE says so. Pages are separated by form feeds. For documents
with running headers and footers the reference is the body that was put in, since both tools keep them; for hyphens the words that were divided.
"""

import datetime
import io
import zlib
from pathlib import Path

import pymupdf
import pypdf
from fpdf import FPDF
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen import canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageBreak, PageTemplate, Paragraph, SimpleDocTemplate, Table

TESTS = Path(__file__).parent.parent
OUT, HOSTILE = TESTS / "golden" / "pdf", TESTS / "hostile" / "pdf"
STYLES = getSampleStyleSheet()

SENTENCES = """
The river rises in a narrow valley where the snow lasts until the end of May.
Two hundred years ago the villages along its banks lived from the mills that it drove.
Each mill had a wheel of oak, a pair of stones from the quarry above the church, and a family over the gears.
When the railway came, flour from the plain was cheaper, and one wheel after the other stood still.
The last miller kept a diary in which he noted the height of the water every morning for thirty-one years.
His granddaughter found the notebooks in a chest and gave them to the county's archive.
Hydrologists were surprised to see how well his figures agree with modern gauges.
A flood that had been thought a legend turned out to be the highest of the whole series.
The notes also tell of ice that carried away the lower bridge in the winter of the great frost.
Today a path follows the old canal, and panels explain how sluices and weirs were worked.
""".strip().splitlines()


def prose(start, count):
    return " ".join(SENTENCES[(start + i) % len(SENTENCES)] for i in range(count))


def body(start, count, each=5):
    return [Paragraph(prose(start + 3 * i, each), STYLES["BodyText"]) for i in range(count)]


def single(path):
    about = dict(title="The mills", author="Ada Brook", subject="A valley", keywords="river, mills")
    SimpleDocTemplate(path, pagesize=A4, invariant=1, **about).build([Paragraph("The mills", STYLES["Heading1"]), *body(0, 20)])


def two_columns(path):
    document = BaseDocTemplate(path, pagesize=A4, invariant=1)
    frames = [Frame(40, 40, 250, 700), Frame(305, 40, 250, 700)]

    def title(canvas, _):
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawCentredString(297, 780, "A title that stands over both of the columns")

    document.addPageTemplates([PageTemplate(frames=frames, onPage=title)])
    document.build(body(0, 16))


def tables(path):
    rows = [["Name", "Height", "Place"], ["Upper mill", "412 m", "below the church"], ["Old mill", "388 m", "at the bridge"],
            ["Lower mill", "301 m", "beside the station"]]
    SimpleDocTemplate(path, pagesize=A4, invariant=1).build([*body(0, 1), Table(rows), *body(4, 1)])


def running(path):
    def around(canvas, document):
        canvas.drawString(72, 810, "Report of the valley zqhead")
        canvas.drawCentredString(297, 20, f"zqfoot {document.page} of 5")

    story = []
    for page in range(5):
        story += [Paragraph(f"Part {page}", STYLES["Heading2"]), *body(2 * page, 2, 3 + page), PageBreak()]
    SimpleDocTemplate(path, pagesize=A4, invariant=1).build(story, onFirstPage=around, onLaterPages=around)


def running_text(path):
    return "\f".join(f"Part {page}\n" + "\n".join(prose(2 * page + 3 * i, 3 + page) for i in range(2)) for page in range(5))


def lines(path, texts, turn=0):
    page = canvas.Canvas(path, pagesize=A4, invariant=1)
    page.setPageRotation(turn)
    for i, text in enumerate(texts):
        page.drawString(72, 500 - 14 * i, text)
    page.save()


HYPHENS = ["The water of the valley was mea-", "sured every morning for a well-known book of the coun-",
           "ty, and the people who lived there called it a state-of-the-", "art report on all their riv-",
           "ers, which the Anglo-", "Saxon scholars of the time did not believe in any more."]


def hyphens(path):
    lines(path, HYPHENS)


def hyphens_text(_):
    """PyMuPDF joins everything (`state-of-theart`, `AngloSaxon`), pypdf nothing: the words that the author meant."""
    text = "\n".join(HYPHENS)
    for divided in ["mea-", "coun-", "riv-"]:
        text = text.replace(divided + "\n", divided[:-1])
    return text.replace("-\n", "-")


def rotated(path):
    page = canvas.Canvas(path, pagesize=A4, invariant=1)
    page.rotate(90)
    for i, sentence in enumerate(SENTENCES[:6]):
        page.drawString(100, -100 - 14 * i, sentence)
    page.save()


def rotated_page(path):
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((72, 100), SENTENCES[:8])
    page.set_rotation(90)
    document.save(path, no_new_id=True)


def unicode(path):
    document = FPDF()
    document.set_creation_date(datetime.datetime(2024, 3, 5, 8, 9, 10, tzinfo=datetime.timezone.utc))
    font = next(Path("/usr/share/fonts").rglob("DejaVuSans.ttf"), None) or next(Path("/usr").rglob("DejaVuSans.ttf"))
    document.add_font("DejaVu", "", str(font))
    document.set_font("DejaVu", size=11)
    document.add_page()
    document.multi_cell(0, 6, "Größere Mühlen, naïve Übermüdung, façade.\nРека начинается в узкой долине, где снег лежит до конца мая.\n"
                              "Ο ποταμός πηγάζει από μια στενή κοιλάδα.\nŻółta łódź płynie. Ďábelské ódy. 3 ≤ 4 → ∞ — “quoted” … €\n"
                              "An e\ufb03cient \ufb01ne \ufb02ow of o\ufb00ers.", new_x="LMARGIN", new_y="NEXT")
    document.output(path)


RIGHT_TO_LEFT = ["הנהר מתחיל בעמק צר שבו השלג נשאר עד סוף מאי.", "בשנת 1874 נבנו 12 טחנות לאורך הנהר.",
                 "ينبع النهر من واد ضيق يبقى فيه الثلج حتى نهاية مايو.", "بنيت 12 طاحونة في عام 1874 على ضفاف النهر.",
                 "אחת מהן (Old mill) עומדת עד היום, 412 מטר מעל הים.", "A line from left to right with the word שלום in it."]


def right_to_left(path):
    document = FPDF()
    document.set_creation_date(datetime.datetime(2024, 3, 5, 8, 9, 10, tzinfo=datetime.timezone.utc))
    document.add_font("DejaVu", "", str(next(Path("/usr").rglob("DejaVuSans.ttf"))))
    document.set_font("DejaVu", size=11)
    document.set_text_shaping(True)
    document.add_page()
    for line in RIGHT_TO_LEFT:
        document.cell(0, 12, line, new_x="LMARGIN", new_y="NEXT")
    document.output(path)


def right_to_left_text(_):
    """PyMuPDF puts the numbers elsewhere: the lines as they were written."""
    return "\n".join(RIGHT_TO_LEFT)


def many(path):
    page = canvas.Canvas(path, pagesize=A4, invariant=1)
    for number in range(40):
        for i, sentence in enumerate(SENTENCES[:4]):
            page.drawString(72, 700 - 14 * i - 3 * (number % 7), f"{number * 7 + i} {SENTENCES[(number + i) % 10]}")
        page.showPage()
    page.save()


def form(path):
    page = canvas.Canvas(path, pagesize=A4, invariant=1)
    page.drawString(72, 700, "Please fill in your name and your town on the lines below.")
    page.acroForm.textfield(name="name", x=72, y=650, value="Ada Brook")
    page.acroForm.textfield(name="town", x=72, y=600, value="Upper Mill")
    page.acroForm.textfield(name="empty", x=72, y=550, value="")
    page.save()


def scanned(path):
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((72, 100), "The first page has a text.")
    page = document.new_page()
    page.insert_image(page.rect, pixmap=pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 16, 16)))
    document.save(path, deflate=True, no_new_id=True)


REFERENCE = {single: "pymupdf", two_columns: "pymupdf", tables: "pymupdf", running: running_text, hyphens: hyphens_text,
             rotated: "pymupdf", rotated_page: "pymupdf", unicode: "pypdf", right_to_left: right_to_left_text, many: "pypdf", form: None, scanned: None}
LIGATURES = {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"}


def extracted(tool, path):
    if callable(tool):
        text = tool(path)
    elif tool == "pymupdf":
        flags = pymupdf.TEXTFLAGS_TEXT & ~pymupdf.TEXT_PRESERVE_LIGATURES | pymupdf.TEXT_DEHYPHENATE
        text = "\f".join(page.get_text(flags=flags) for page in pymupdf.open(path))
    else:
        text = "\f".join(page.extract_text() for page in pypdf.PdfReader(path).pages)
    for ligature, letters in LIGATURES.items():
        text = text.replace(ligature, letters)
    return text


def assembled(objects, trailer=""):
    """A file of the given objects, the first one being the catalogue."""
    out, offsets = b"%PDF-1.5\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        content = content if isinstance(content, bytes) else content.encode()
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    return out + f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()


def stream(data, extra="", length=None):
    return f"<< /Length {len(data) if length is None else length} {extra} >>\nstream\n".encode() + data + b"\nendstream"


def page_with(content, resources="/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>", more=(), catalogue=""):
    return assembled([f"<< /Type /Catalog /Pages 2 0 R{catalogue} >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
                      f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << {resources} >> >>",
                      content, *more])


def hostile():
    text = b"BT /F 12 Tf 72 700 Td (Hello from the page) Tj ET"
    whole = page_with(stream(text))
    yield "sound", whole
    yield "truncated", (OUT / "single.pdf").read_bytes()[:2500]
    yield "header_only", b"%PDF-1.7\n"
    yield "garbage", b"%PDF-1.4\n" + bytes((i * 7919) % 251 for i in range(4000))
    yield "no_pages", assembled(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] /Count 0 >>"])
    yield "page_cycle", assembled(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 9 >>",
                                   "<< /Type /Pages /Parent 2 0 R /Kids [2 0 R 3 0 R] /Count 9 >>"])
    yield "reference_cycle", assembled(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids 3 0 R /Count 1 >>", "4 0 R", "3 0 R"])
    yield "length_cycle", page_with(stream(text, length="5 0 R"), more=["5 0 R"])
    yield "form_cycle", page_with(stream(b"/X Do"), "/XObject << /X 5 0 R >>", [
        stream(b"/X Do /X Do", "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>")])
    levels = [stream(b"/X Do " * 10, f"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {6 + i} 0 R >> >>")
              for i in range(12)]
    yield "form_bomb", page_with(stream(b"/X Do"), "/XObject << /X 5 0 R >>", [*levels, stream(text, "/Type /XObject /Subtype /Form /BBox [0 0 9 9]")])
    bomb = zlib.compress(zlib.compress(b" " * (1 << 28), 9), 9)
    yield "stream_bomb", page_with(stream(bomb, "/Filter [/FlateDecode /FlateDecode]"))
    yield "deep", page_with(stream(b"[" * 20000 + b"]" * 20000 + b" TJ"))
    yield "deep_object", assembled(["<< /Type /Catalog /Pages 2 0 R >>", b"[" * 20000 + b"]" * 20000])
    yield "huge_number", assembled(["<< /Type /Catalog /Pages 4294967295 0 R >>"], "/Prev 99999999999999")
    yield "huge_count", assembled(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>",
                                   "<< /Type /Page /Parent 2 0 R >>"])
    yield "previous_cycle", whole.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % whole.rfind(b"xref\n0"))
    entry = "<< /Title (a) /Parent {} 0 R /First {} 0 R /Last {} 0 R /Next {} 0 R /Dest [3 0 R /Fit] >>"
    yield "outline_cycle", page_with(stream(text), more=["<< /Type /Outlines /First 6 0 R /Last 6 0 R /Count 2147483647 >>",
        entry.format(5, 7, 7, 6), entry.format(6, 6, 6, 7)], catalogue=" /Outlines 5 0 R")
    yield "not_a_number", page_with(stream(b"BT /F 1e39 Tf 1e39 0 0 -1e39 1e39 99999999999999999999 Tm (x) Tj ET"))
    yield from encrypted(whole)


def encrypted(whole):
    ciphers = {"encrypted": ("AES-256", "secret"), "owner_only": ("AES-256", ""), "rc4": ("RC4-128", ""), "rc4_40": ("RC4-40", ""),
               "aes_128": ("AES-128", ""), "aes_256_r5": ("AES-256-R5", "secret"), "owner_only_r5": ("AES-256-R5", "")}
    for name, (cipher, password) in ciphers.items():
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(whole))
        writer.encrypt(owner_password="owner", user_password=password, algorithm=cipher)
        buffer = io.BytesIO()
        writer.write(buffer)
        yield name, buffer.getvalue()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    HOSTILE.mkdir(parents=True, exist_ok=True)
    for make, tool in REFERENCE.items():
        path = OUT / f"{make.__name__}.pdf"
        make(str(path))
        if tool:
            path.with_suffix(".txt").write_text(extracted(tool, str(path)))
    for name, content in hostile():
        (HOSTILE / f"{name}.pdf").write_bytes(content)


main()
